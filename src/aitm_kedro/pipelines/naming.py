"""Names of datasets that leave a namespace. Kedro keeps the dot for what stays inside."""


def leaving(run: str, seed: int | None, what: str) -> str:
    """Name of a result of a run under which nodes outside of its namespace read it.

    Example:
        >>> leaving("aitm", 0, "metrics"), leaving("oracle", None, "metrics")
        ('aitm_seed0_metrics', 'oracle_metrics')
    """
    return f"{run}_{what}" if seed is None else f"{run}_seed{seed}_{what}"
