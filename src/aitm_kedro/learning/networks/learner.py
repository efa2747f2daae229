"""Networks as learners: built from options, trained by the loop, saved as safetensors; no torch before it is used."""

import logging
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.parameters import MACHINE, Parameters
from aitm_kedro.learning.history import History
from aitm_kedro.learning.learner import Learner, ModelSpec, Trained, check_ids, check_values
from aitm_kedro.learning.network_options import NetworkOptions

if TYPE_CHECKING:
    from aitm_kedro.learning.networks.base import Network

logger = logging.getLogger(__name__)

UNTOLD = ("preset", *MACHINE)
"""Parameters of training that the log leaves out where it names those that differ from the preset."""


class NetworkLearner(Learner):
    """Base of the learners of networks; ``network`` makes one for each of them.

    Attributes:
        module_and_class: "module:Class" of the network, the module in this package.
    """

    Options: ClassVar[type[Parameters]] = NetworkOptions
    options: NetworkOptions
    reads_training = True
    module_and_class: ClassVar[str]

    @classmethod
    def network_class(cls) -> "type[Network]":
        """Class of the network."""
        module, _, name = cls.module_and_class.partition(":")
        found: type[Network] = getattr(import_module(f"{__package__}.{module}"), name)
        return found

    @classmethod
    def build(cls, features: Sequence[FeatureSpec], steps: Sequence[str], options: Parameters) -> "Network":
        """An untrained network, drawn from torch's global generator."""
        network: Any = cls.network_class()
        built: Network = network(features=features, steps=steps, options=options)
        return built

    def fit(
        self, train: Examples, valid: Examples, *, features: Sequence[FeatureSpec], funnel: Funnel, seed: int
    ) -> Trained:
        """Train until validation gets no better; independent parts one after another.

        Raises:
            InputError: values that the network reads are missing; or see ``training.loop.fit``.
        """
        import torch

        from aitm_kedro.learning.networks.trained import TrainedNetwork
        from aitm_kedro.learning.training.devices import choose_device
        from aitm_kedro.learning.training.loop import fit
        from aitm_kedro.learning.training.stopping import describe_cap

        choose_device(self.training.device)  # complains before anything is built
        for examples in (train, valid):
            check_ids(examples, features)
        torch.manual_seed(seed)
        model = self.build(features, train.steps, self.options)
        if model.reads_values:
            for examples in (train, valid):
                check_values(examples, features, model=self.name)
        logger.info(
            "training '%s' with seed %d on %s rows, preset %s%s",
            self.name,
            seed,
            f"{len(train):,}",
            self.training.preset,
            "".join(f", {key} {value}" for key, value in self.training.changed().items() if key not in UNTOLD),
        )
        self._check_parts(model, valid)
        histories = [
            fit(
                part,
                train.of_steps(part.steps),
                valid.of_steps(part.steps),
                options=self.training,
                main_steps=[step for step in funnel.main_steps if step in part.steps] or part.steps,
                seed=seed,
            )
            for part in model.parts()
        ]
        unfinished = describe_cap(histories, model=self.name, seed=seed, max_epochs=self.training.max_epochs)
        if unfinished is not None:
            logger.warning(unfinished)
        history = histories[0] if len(histories) == 1 else sum_up(histories)
        return TrainedNetwork(self.spec(train, features), history, model.eval())

    @classmethod
    def load(cls, folder: Path, spec: ModelSpec, history: History) -> Trained:
        """Read the model, onto the CPU."""
        from aitm_kedro.learning.networks.trained import TrainedNetwork, read_state

        model = cls.build(spec.features, spec.steps, cls.Options.model_validate(spec.options))
        return TrainedNetwork(spec, history, read_state(model, folder, name=spec.model).eval())

    def _check_parts(self, model: "Network", valid: Examples) -> None:
        """Independent networks stop on their own steps, so validation must be able to score each of them."""
        if len(model.parts()) == 1:
            return
        for step in valid.steps_of_one_class():
            raise InputError(
                f"validation has only one class of '{step}', so nothing can say when the network of that step in "
                f"'{self.name}' has learnt enough; give split more validation rows, take the step out of funnel.steps, "
                f"or '{self.name}' out of runs"
            )


def network(module_and_class: str, options: type[NetworkOptions], *, inspectable: bool = False) -> type[NetworkLearner]:
    """The learner of one network.

    Args:
        module_and_class: "module:Class" of the network, the module in this package.
        options: class of its options.
        inspectable: whether the network has ``inspect``, which the figures look into.
    """
    _, _, name = module_and_class.partition(":")
    attributes = {
        "Options": options,
        "module_and_class": module_and_class,
        "inspectable": inspectable,
        "__module__": __name__,
    }
    return type(f"{name}Learner", (NetworkLearner,), attributes)


def sum_up(histories: Sequence[History]) -> History:
    """One history of independent networks, each with its own under ``parts``; an epoch is one of each."""
    first, count = histories[0], len(histories)
    per_epoch = sum(history.seconds_per_epoch or 0.0 for history in histories)
    return History(
        parts={", ".join(history.steps): history for history in histories},
        epochs=sum(history.epochs or 0.0 for history in histories) / count,
        best_epoch=sum(history.best_epoch or 0.0 for history in histories) / count,
        seconds=round(sum(history.seconds for history in histories), 3),
        seconds_per_epoch=round(per_epoch, 3),
        rows_per_second=round(first.train_rows / max(per_epoch, 1e-9), 1),
        device=first.device,
        precision=first.precision,
        parameters=sum(history.parameters for history in histories),
        train_rows=first.train_rows,
        valid_rows=first.valid_rows,
    )
