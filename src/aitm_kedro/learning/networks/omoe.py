"""OMoE: experts shared by all tasks, and one gate for all of them.

Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018,
https://doi.org/10.1145/3219819.3220007, section 3.2: the one-gate model that MMoE is compared with there.
"""

from aitm_kedro.learning.networks.mmoe import MMoE


class OMoE(MMoE):
    """MMoE with a single gate: all tasks read the same mixture.

    Shape:
        batch of B rows -> logits [B, T]
    """

    @staticmethod
    def gate_count(tasks: int) -> int:
        """One gate, whatever the number of tasks."""
        return 1
