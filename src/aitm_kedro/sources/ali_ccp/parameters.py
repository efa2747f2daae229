"""Parameter class of the source Ali-CCP: where its files are, and how they are read."""

from pydantic import Field

from aitm_kedro.core.parameters import Parameters


class AliCCPFiles(Parameters):
    """Where the files of Ali-CCP are, and how they are read (conf/ali_ccp)."""

    folder: str = "data/01_raw/ali_ccp"
    max_values: int | None = Field(
        None, ge=1, description="of a multi-valued field, the heaviest values that a row keeps; null: all"
    )
    max_unreadable: float = Field(0.001, ge=0, lt=1, description="share of a file's lines that may be unreadable")
