"""Namespaces: under which a run and seed stand in the graph, in names of datasets, and in commands."""


def namespace_of(run: str, seed: int | None = None) -> str:
    """Namespace of a run with a seed; without one, of what belongs to all its seeds (or to the oracle, which has none).

    Example:
        >>> namespace_of("aitm", 0), namespace_of("aitm")
        ('aitm.seed0', 'aitm')
    """
    return run if seed is None else f"{run}.seed{seed}"
