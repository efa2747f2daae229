"""The one exception for input that a person has to mend."""


class InputError(ValueError):
    """Data, parameters or files are not as the project needs them.

    The message is shown to the user as it stands, without a traceback, so it says in one or two sentences what is
    wrong, where, and what to change.
    """
