"""Options of every network, and of the parts that networks share. No torch here: configuration is read without it."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from aitm_kedro.core.parameters import BY_PRESET, Parameters, PresetParameters
from aitm_kedro.learning.parameters import Preset

NUMERIC_KINDS: dict[str, str] = {
    "bins": "",  # by the id of the value's bin, through the table of all ids
    "piecewise_linear": "aitm_kedro.learning.layers.numeric:PiecewiseLinear",  # by the value
}
"""How a network reads numeric features: name -> "module:Class" of a ``layers.embedding.NumericEmbedding``."""


class Tower(Parameters):
    """A task's tower (paper, section A.1); a bare name such as ``tower: nfm`` sets the kind alone."""

    kind: Literal["mlp", "nfm", "deepfm", "afm"] = "mlp"
    layers: tuple[int, ...] = Field((128, 64, 32), min_length=1, description="widths; afm uses the last one alone")
    dropout: tuple[float, ...] = Field((0.1, 0.3, 0.3), description="one rate a layer; afm uses the last one alone")
    attention_factor: int = Field(8, ge=1, description="hidden size of afm's attention over pairs of fields")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.dropout) != len(self.layers):
            raise ValueError(f"dropout has {len(self.dropout)} rates for {len(self.layers)} layers")
        if any(not 0 <= rate < 1 for rate in self.dropout):
            raise ValueError(f"dropout {list(self.dropout)} must lie in [0, 1)")
        if any(width < 1 for width in self.layers):
            raise ValueError(f"layers {list(self.layers)} must be positive")
        return self


class Expert(Tower):
    """An expert: a tower with the sizes of the Expert-Bottom pattern (paper, Table 4)."""

    layers: tuple[int, ...] = Field((64, 32, 16), min_length=1, description="widths; afm uses the last one alone")


class NetworkOptions(Parameters):
    """What every network can be told; a network's own options derive from it."""

    embedding_dim: int = Field(5, ge=1)
    numeric: str = Field(
        "piecewise_linear", description="how numeric features are read, a key of NUMERIC_KINDS; the paper has bins"
    )

    @field_validator("numeric")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in NUMERIC_KINDS:
            raise ValueError(f"numeric is '{value}'; choose among {', '.join(NUMERIC_KINDS)}")
        return value


class MLPOptions(NetworkOptions):
    """T independent networks."""

    tower: Tower = Tower()


class SharedBottomOptions(NetworkOptions):
    """Shared bottom."""

    bottom: Tower = Tower()


class ESMMOptions(NetworkOptions):
    """ESMM and ESM²."""

    tower: Tower = Tower()


class MMoEOptions(NetworkOptions):
    """MMoE, and OMoE, which differs in the number of gates alone."""

    expert: Expert = Expert()
    experts_per_task: int = Field(2, ge=1, description="experts are this times T, all of them shared")


class PLEOptions(NetworkOptions):
    """PLE."""

    expert: Expert = Expert()
    shared_experts_per_task: int = Field(1, ge=1, description="shared experts are this times T")
    own_experts: int = Field(1, ge=1, description="experts of each task's own")


class AITMOptions(PresetParameters, NetworkOptions):
    """AITM; where the authors' released code differs from the paper, the paper is followed.

    The preset ``tuned`` deviates from the paper in two ways: each step is predicted given the one before, and products
    lead end to end; and numeric features are read by their values, as in all networks here (docs/accuracy.md).
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "tuned": {"output": "product", "alpha": 0.0, "numeric": "piecewise_linear"},
        "paper": {"output": "independent", "alpha": 0.6, "numeric": "bins"},
    }

    preset: Preset = "tuned"
    tower: Tower = Tower()
    output: Literal["independent", "product"] = Field(
        BY_PRESET,
        description="end to end by itself (eq. 10), or the product of the probabilities given the step before",
    )
    numeric: str = Field(BY_PRESET, description="how numeric features are read, a key of NUMERIC_KINDS")
    residual: bool = Field(False, description="the logit of a step adds to that of the step before, as in ResFlow")
    alpha: float = Field(BY_PRESET, ge=0, description="weight of the behavioural expectation calibrator, eq. 13")
    batch_norm: bool = Field(False, description="the release's 'standard' file normalises before the activation")
    transfer_dropout: float = Field(0.3, ge=0, lt=1, description="of g; the paper is silent, the release has 0.3")
    attention_bias: bool = Field(False, description="of h1, h2, h3; the paper is silent, the release has none")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.output == "product" and self.alpha:
            raise ValueError(
                f"alpha is {self.alpha:g}, the weight of the calibrator, which has nothing to do where output is "
                "product; set output to independent (preset: paper), or alpha to 0"
            )
        if self.batch_norm and self.tower.kind == "afm":
            raise ValueError("batch_norm is true, but a tower of kind afm has no layers to normalise; set it to false")
        return self


class ResFlowOptions(NetworkOptions):
    """ResFlow."""

    tower: Tower = Tower()
