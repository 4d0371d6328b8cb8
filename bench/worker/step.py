"""One training step: a batch out of its random choices, forward, loss, backward, update.

Two forms of the same arithmetic. :class:`Step` has the host start every kernel, which a CPU always does. Of a small net
on a GPU that takes longer than the kernels themselves; :class:`CapturedStep` records them once as a CUDA graph, which
the device then replays alone.

Shapes: N images a batch, H = W = input size, K classes.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from bench.values import Mode
from bench.worker.data.batches import Batch, Draw

WARM_UP = 3
"""Steps before a capture, in which cuDNN chooses its kernels and the optimizer makes its state."""


class Step:
    """Trains a net by one batch a call."""

    def __init__(
        self,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        assemble: Callable[[Draw], Batch],
        *,
        mode: Mode,
        device: torch.device,
        label_smoothing: float,
    ) -> None:
        self.net, self.optimizer, self.mode, self.device = net, optimizer, mode, device
        self._assemble, self._label_smoothing = assemble, label_smoothing
        self._forward: Callable[[Tensor], Tensor] = torch.compile(net) if mode.compiled else net
        self._memory_format = memory_format(mode)

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the steps that follow."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def __call__(self, chosen: Draw, seed: int) -> Tensor:
        """Train on the batch of a step's choices. Returns its loss, () float32 on the device, unread.

        ``seed`` seeds what the net draws itself (dropout, stochastic depth), so that a step can be repeated.
        """
        torch.manual_seed(seed)
        return self._train(chosen)

    def _train(self, chosen: Draw) -> Tensor:
        images, labels = self._assemble(chosen)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mode.precision == "bf16"):
            scores = self._forward(images.contiguous(memory_format=self._memory_format))
            loss = F.cross_entropy(scores, labels, label_smoothing=self._label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()


class CapturedStep(Step):
    """The same step as one CUDA graph: captured at the first call, replayed from then on.

    The choices of a step are copied into the graph's own tensors; the seed reaches it through the device's generator,
    whose seed and offset a replay reads anew. The learning rate is a tensor on the device.
    """

    _graph: "torch.cuda.CUDAGraph | None" = None
    _chosen: Draw
    _loss: Tensor

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the steps that follow, without waiting for those before."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor) and group["lr"].device.type == self.device.type:
                group["lr"].fill_(rate)
            else:
                group["lr"] = torch.tensor(rate, device=self.device)
            if "capturable" in group:
                group["capturable"] = True

    def __call__(self, chosen: Draw, seed: int) -> Tensor:
        """Train on the batch of a step's choices. Returns its loss, () float32, overwritten by the next call."""
        if self._graph is None:
            self._capture(chosen)
        assert self._graph is not None
        self._chosen.copy_from(chosen)
        torch.manual_seed(seed)
        self._graph.replay()
        return self._loss

    def _capture(self, chosen: Draw) -> None:
        """Warm up on a stream of its own, put everything back as it was, and record the step."""
        self._chosen = chosen.clone()
        before = [(tensor, tensor.clone()) for tensor in self.net.state_dict().values()]
        states = {
            parameter: {name: value.clone() for name, value in state.items() if isinstance(value, Tensor)}
            for parameter, state in self.optimizer.state.items()
        }
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._train(self._chosen)
        torch.cuda.current_stream().wait_stream(stream)
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)
            restore(self.optimizer, states)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._loss = self._train(self._chosen)


def restore(optimizer: torch.optim.Optimizer, states: dict[Any, dict[str, Tensor]]) -> None:
    """Put an optimizer's state back in place; a state that was made since then becomes zero, its initial value.

    A momentum of zero and no momentum are the same to the bit without dampening, which no optimizer of the catalog has.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                before = states.get(parameter, {}).get(name)
                value.zero_() if before is None else value.copy_(before)


def make_step(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    assemble: Callable[[Draw], Batch],
    *,
    mode: Mode,
    device: torch.device,
    label_smoothing: float,
) -> Step:
    """The step in the form that the mode asks for."""
    made = CapturedStep if mode.captured else Step
    return made(net, optimizer, assemble, mode=mode, device=device, label_smoothing=label_smoothing)


def memory_format(mode: Mode) -> torch.memory_format:
    """The layout of batches and weights."""
    return torch.channels_last if mode.memory_format == "channels_last" else torch.contiguous_format
