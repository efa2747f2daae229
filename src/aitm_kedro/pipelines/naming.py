"""Names of datasets that leave a namespace. Kedro keeps the dot for what stays inside."""


def leaving(run: str, seed: int | None, what: str) -> str:
    """Name under which nodes outside of a run's namespace read what it left with a seed; None: with all of them.

    Example:
        >>> leaving("aitm", 0, "bundle"), leaving("aitm", None, "results@metrics")
        ('aitm_seed0_bundle', 'aitm_results@metrics')
    """
    return f"{run}_{what}" if seed is None else f"{run}_seed{seed}_{what}"
