"""Every key of the parameters, checked before anything runs."""
