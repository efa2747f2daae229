"""Tables from the raw log to encoded examples, as Ibis expressions that run on every engine alike."""
