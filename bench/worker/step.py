"""One training step: assemble a batch, forward, loss, backward, update; :meth:`Step._train` is the whole of it.

Called by :mod:`bench.worker.train` once per step, and by :mod:`bench.worker.speed`. Never waits for the device and
never reads a value back from it.

Two forms of the same arithmetic. In :class:`Step` the host starts each kernel, as it always does on a CPU. For a small
net on a GPU that takes longer than the kernels themselves, so :class:`CapturedStep` records them once as a CUDA graph,
which the device then replays alone. It is longer than other files because both forms stand together, with the comments
that say why each line is there.

Shapes: N images per batch, H = W = input size, K classes.
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
from bench.worker.models.scores import main_scores

WARM_UP = 3
"""How often work is done before it is recorded: cuDNN chooses its kernels, and the optimizer makes its state."""

Work = Callable[[], object]
"""Work for the device whose inputs and outputs are tensors at fixed addresses."""
Record = Callable[[Work, Work], Work]
"""Turns work into a replay of it: :func:`record_graph`, or on a machine without a GPU the work itself."""


class Step:
    """Trains a net by one batch per call."""

    def __init__(
        self,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        assemble: Callable[[Any], Batch],
        *,
        mode: Mode,
        device: torch.device,
        label_smoothing: float,
        batch_size: int | None = None,
    ) -> None:
        """``assemble`` makes a batch out of a step's inputs, on the device, with the same shapes for every full batch.

        ``batch_size`` is that of a full batch, where an epoch may end with a smaller one.
        """
        self.net, self.optimizer, self.mode, self.device = net, optimizer, mode, device
        self._assemble, self._label_smoothing = assemble, label_smoothing
        # the net itself stays what is tested and saved: a compiled module has other names in its state_dict
        self._forward: Callable[[Tensor], object] = compiled(net) if mode.compiled else net
        self._memory_format, self._batch_size = memory_format(mode), batch_size
        self._update = make_update(optimizer)
        self._parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the steps that follow."""
        if self.device.type == "cuda":
            # a captured step keeps its rate as float32 on the device; the same rounding here gives the same bits
            rate = float(np.float32(rate))
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def __call__(self, inputs: StepInputs, seed: int) -> Tensor:
        """Train on the batch of a step's inputs. Returns its loss, () float32 on the device, not waited for.

        ``seed`` seeds what the net itself draws (dropout, stochastic depth), so that a resumed epoch repeats it.
        """
        torch.manual_seed(seed)
        return self._train(inputs)

    def _train(self, inputs: StepInputs) -> Tensor:
        # augmented here and not in loader processes: uint8 images are on the device, and their random values are inputs
        images, labels = self._assemble(inputs)  # (N, 3, H, W) float32, (N,) int64
        # forward and loss only: the backward of each operation runs in the type of its forward by itself. No gradient
        # scaler: bf16 has the exponent range of fp32, so small gradients do not underflow
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mode.precision == "bf16"):
            # weights and images in one layout, or each convolution would convert its input
            scores = main_scores(self._net_for(images)(images.contiguous(memory_format=self._memory_format)))  # (N, K)
            loss = F.cross_entropy(scores, labels, label_smoothing=self._label_smoothing)  # (), mean over the batch
        # None and not zero: backward then stores gradients instead of adding them to zeros. By hand, because
        # optimizer.zero_grad also goes through hooks and a profiler mark
        for parameter in self._parameters:
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        # no gradient is clipped or accumulated: a recipe has neither
        self._update()
        # detached, or the epoch's tensor of losses would keep the graph of each step alive
        return loss.detach()

    def _net_for(self, images: Tensor) -> Callable[[Tensor], object]:
        """The net as it is computed: a smaller batch would have it compiled once more, for all sizes."""
        return self.net if self._batch_size and len(images) < self._batch_size else self._forward


class CapturedStep(Step):
    """The same step as one CUDA graph, recorded at the first call and replayed from then on.

    A graph repeats the same kernels on the same addresses, so whatever differs between steps must be in a tensor on the
    device: the inputs are copied into the graph's own, the seed reaches it through the device's generator, whose seed
    and offset a replay reads again, and the learning rate is a tensor too.
    """

    _replay: Work | None = None
    _inputs: StepInputs
    _loss: Tensor

    def __init__(self, *arguments: Any, record: Record | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._record = record or record_graph

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the steps that follow, without waiting for earlier ones."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor) and group["lr"].device.type == self.device.type:
                group["lr"].fill_(rate)  # in place: the graph reads this address
            else:  # a number, or what a checkpoint left on the CPU; the fused kernels read float32
                group["lr"] = torch.full((), rate, dtype=torch.float32, device=self.device)

    def __call__(self, inputs: StepInputs, seed: int) -> Tensor:
        """Train on the batch of a step's inputs. Returns its loss, () float32, which the next call overwrites."""
        if self._batch_size and len(inputs) < self._batch_size:  # a graph has fixed shapes
            return super().__call__(inputs, seed)
        if self._replay is None:
            self._replay = self._capture(inputs)
        self._inputs.copy_from(inputs)
        torch.manual_seed(seed)
        self._replay()
        return self._loss

    def _capture(self, inputs: StepInputs) -> Work:
        """Warm up, restore everything that the warm-up changed, and record the step.

        Raises:
            ModelError: The net draws random numbers on the host, which the graph would repeat in every step.
        """
        self._inputs, self._loss = inputs.clone(), torch.zeros((), device=self.device)
        before = Snapshot(self.net, self.optimizer)
        for group in self.optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = False  # a checkpoint may have it; outside of a capture torch warns of it
        host_states: list[object] = []

        def prepare() -> None:
            before.restore()
            # gradients of the warm-up lie outside the graph's memory pool and would be kept for nothing
            self.optimizer.zero_grad(set_to_none=True)
            for group in self.optimizer.param_groups:
                if "capturable" in group:
                    group["capturable"] = True
            host_states.append(host_rng_state(self.device))

        replay = self._record(lambda: self._loss.copy_(self._train(self._inputs)), prepare)
        # recording runs the net's Python once: if that drew on the host, every replay would repeat its result
        if [host_rng_state(self.device)] != host_states:
            raise ModelError("the net draws random numbers on the host, which a CUDA graph would repeat in every step")
        return replay


def record_graph(work: Work, prepare: Work) -> Work:
    """Record work as a CUDA graph and return what replays it.

    The work is done :data:`WARM_UP` times first, on a stream of its own; then ``prepare`` undoes what it changed.
    Recording itself changes nothing.
    """
    # torch asks for a side stream: what the default stream allocates or picks lazily must not end up in the graph
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    prepare()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


class Snapshot:
    """What training changes, as it is now: weights, buffers and the optimizer's state. Can be restored once."""

    def __init__(self, net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        # not the state_dict: training also changes buffers that are not saved with a net
        self._tensors = [(tensor, tensor.detach().clone()) for tensor in [*net.parameters(), *net.buffers()]]
        self._states = {
            parameter: {name: value.clone() for name, value in state.items() if isinstance(value, Tensor)}
            for parameter, state in optimizer.state.items()
        }

    @torch.no_grad()
    def restore(self) -> None:
        """Overwrite everything in place and release the copies.

        Optimizer state that was made since then becomes zero, its initial value: a momentum of zero and no momentum are
        the same without dampening, which no optimizer of the catalog has.
        """
        for tensor, value in self._tensors:
            tensor.copy_(value)
        for parameter, state in self._optimizer.state.items():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    before = self._states.get(parameter, {}).get(name)
                    value.zero_() if before is None else value.copy_(before)
        self._tensors, self._states = [], {}


def host_rng_state(device: torch.device) -> tuple[object, ...]:
    """Snapshot of the host's random generators. A captured step must not change them.

    Python's and NumPy's, and torch's on the CPU unless that is the device.
    """
    numpy_state = np.random.get_state(legacy=False)
    assert isinstance(numpy_state, dict)
    state = numpy_state["state"]
    torch_state = b"" if device.type == "cpu" else torch.get_rng_state().numpy().tobytes()
    return random.getstate(), state["key"].tobytes(), state["pos"], torch_state


def make_step(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    assemble: Callable[[Any], Batch],
    *,
    mode: Mode,
    device: torch.device,
    label_smoothing: float,
    batch_size: int | None = None,
) -> Step:
    """The step in the form that the mode asks for."""
    form = CapturedStep if mode.captured else Step
    return form(
        net,
        optimizer,
        assemble,
        mode=mode,
        device=device,
        label_smoothing=label_smoothing,
        batch_size=batch_size,
    )


def compiled(net: nn.Module) -> Callable[[Tensor], Tensor]:
    """The net's forward and backward compiled by torch, without CUDA graphs of the compiler's own.

    They are disabled whatever the environment says: the graph that is recorded around the step cannot contain another.
    """
    forward: Callable[[Tensor], Tensor] = torch.compile(net, options={"triton.cudagraphs": False})
    return forward


def memory_format(mode: Mode) -> torch.memory_format:
    """The layout of batches and weights."""
    return torch.channels_last if mode.memory_format == "channels_last" else torch.contiguous_format
