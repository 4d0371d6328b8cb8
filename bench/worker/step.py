"""One training step: a batch out of its random choices, forward, loss, backward, update.

Two forms of the same arithmetic. :class:`Step` has the host start every kernel, which a CPU always does. Of a small net
on a GPU that takes longer than the kernels themselves; :class:`CapturedStep` records them once as a CUDA graph, which
the device then replays alone.

Shapes: N images a batch, H = W = input size, K classes.
"""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from bench.errors import ModelError
from bench.values import Mode
from bench.worker.compat import make_update
from bench.worker.data.batches import Batch, StepInputs

WARM_UP = 3
"""Times that work is done before it is recorded: cuDNN chooses its kernels and the optimizer makes its state."""

Work = Callable[[], object]
"""Work for the device that takes and leaves everything in tensors that stay where they are."""
Record = Callable[[Work, Work], Work]
"""What makes a replay of work: :func:`record`, or on a machine without a GPU whatever does the work once more."""


class Step:
    """Trains a net by one batch a call."""

    def __init__(
        self,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        assemble: Callable[[Any], Batch],
        *,
        mode: Mode,
        device: torch.device,
        label_smoothing: float,
    ) -> None:
        self.net, self.optimizer, self.mode, self.device = net, optimizer, mode, device
        self._assemble, self._label_smoothing = assemble, label_smoothing
        self._forward: Callable[[Tensor], Tensor] = compiled(net) if mode.compiled else net
        self._memory_format = memory_format(mode)
        self._update = make_update(optimizer)
        self._parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the steps that follow."""
        if self.device.type == "cuda":
            rate = float(np.float32(rate))  # what a captured step holds, so that both forms give the same bits
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def __call__(self, inputs: StepInputs, seed: int) -> Tensor:
        """Train on the batch of a step's choices. Returns its loss, () float32 on the device, unread.

        ``seed`` seeds what the net draws itself (dropout, stochastic depth), so that a step can be repeated.
        """
        torch.manual_seed(seed)
        return self._train(inputs)

    def _train(self, inputs: StepInputs) -> Tensor:
        images, labels = self._assemble(inputs)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mode.precision == "bf16"):
            scores = self._forward(images.contiguous(memory_format=self._memory_format))
            loss = F.cross_entropy(scores, labels, label_smoothing=self._label_smoothing)
        for parameter in self._parameters:  # the optimizer's zero_grad does more, every step
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        self._update()
        return loss.detach()


class CapturedStep(Step):
    """The same step as one CUDA graph: recorded at the first call, replayed from then on.

    The choices of a step are copied into the graph's own tensors; the seed reaches it through the device's generator,
    whose seed and offset a replay reads anew. The learning rate is a tensor on the device.
    """

    _replay: Work | None = None
    _inputs: StepInputs
    _loss: Tensor

    def __init__(self, *arguments: Any, record: Record | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._record = record or record_graph

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the steps that follow, without waiting for those before."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor) and group["lr"].device.type == self.device.type:
                group["lr"].fill_(rate)
            else:  # a number, or what a checkpoint left on the CPU; the fused kernels read a float32
                group["lr"] = torch.full((), rate, dtype=torch.float32, device=self.device)

    def __call__(self, inputs: StepInputs, seed: int) -> Tensor:
        """Train on the batch of a step's choices. Returns its loss, () float32, overwritten by the next call."""
        if self._replay is None:
            self._replay = self._begin(inputs)
        self._inputs.copy_from(inputs)
        torch.manual_seed(seed)
        self._replay()
        return self._loss

    def _begin(self, inputs: StepInputs) -> Work:
        """Warm up, put everything back as it was, and record the step.

        Raises:
            ModelError: The net draws random numbers on the host, which the graph would repeat in every step.
        """
        self._inputs, self._loss = inputs.clone(), torch.zeros((), device=self.device)
        before = Snapshot(self.net, self.optimizer)
        for group in self.optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = False  # as a checkpoint may have it; torch warns of it outside of a capture
        host: list[object] = []

        def ready() -> None:
            before.put_back()
            self.optimizer.zero_grad(set_to_none=True)  # their memory is no part of the graph's and would stay
            for group in self.optimizer.param_groups:
                if "capturable" in group:
                    group["capturable"] = True
            host.append(host_randomness(self.device))

        replay = self._record(lambda: self._loss.copy_(self._train(self._inputs)), ready)
        if [host_randomness(self.device)] != host:
            raise ModelError("the net draws random numbers on the host, which a CUDA graph would repeat in every step")
        return replay


def record_graph(work: Work, ready: Work) -> Work:
    """Record work as a CUDA graph and return what replays it.

    The work is done a few times first, on a stream of its own, and ``ready`` is called behind that: it undoes what the
    work must not have done yet. Recording itself changes nothing.
    """
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    ready()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


class Snapshot:
    """All that training changes, as it is now: weights, buffers and the optimizer's state; to be put back once."""

    def __init__(self, net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        # buffers that are not saved with a net are changed by training too, so its state_dict would not do
        self._tensors = [(tensor, tensor.detach().clone()) for tensor in [*net.parameters(), *net.buffers()]]
        self._states = {
            parameter: {name: value.clone() for name, value in state.items() if isinstance(value, Tensor)}
            for parameter, state in optimizer.state.items()
        }

    @torch.no_grad()
    def put_back(self) -> None:
        """Overwrite everything in place, and let go of the copies.

        A state of the optimizer that was made since then becomes zero, its initial value: a momentum of zero and no
        momentum are the same without dampening, which no optimizer of the catalog has.
        """
        for tensor, value in self._tensors:
            tensor.copy_(value)
        for parameter, state in self._optimizer.state.items():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    before = self._states.get(parameter, {}).get(name)
                    value.zero_() if before is None else value.copy_(before)
        self._tensors, self._states = [], {}


def host_randomness(device: torch.device) -> tuple[object, ...]:
    """The states of the host's generators that a net on a device has no business with; equal while nothing is drawn."""
    numbers = np.random.get_state(legacy=False)
    assert isinstance(numbers, dict)
    state = numbers["state"]
    torchs = b"" if device.type == "cpu" else torch.get_rng_state().numpy().tobytes()
    return random.getstate(), state["key"].tobytes(), state["pos"], torchs


def make_step(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    assemble: Callable[[Any], Batch],
    *,
    mode: Mode,
    device: torch.device,
    label_smoothing: float,
) -> Step:
    """The step in the form that the mode asks for."""
    made = CapturedStep if mode.captured else Step
    return made(net, optimizer, assemble, mode=mode, device=device, label_smoothing=label_smoothing)


def compiled(net: nn.Module) -> Callable[[Tensor], Tensor]:
    """The net's forward and backward as torch's compiler makes them, without CUDA graphs of its own.

    Whatever the environment asks of the compiler: a graph that is recorded around the step can hold no other.
    """
    made: Callable[[Tensor], Tensor] = torch.compile(net, options={"triton.cudagraphs": False})
    return made


def memory_format(mode: Mode) -> torch.memory_format:
    """The layout of batches and weights."""
    return torch.channels_last if mode.memory_format == "channels_last" else torch.contiguous_format
