"""Weights, vocabulary and examples of different runs do not go together in silence."""

import numpy as np
import pytest

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.learning.description import check_ids


def examples(ids):
    ids = np.asarray(ids, np.int32)
    names = tuple("abc"[: ids.shape[1]])
    return Examples(
        ids=ids,
        labels=np.zeros((len(ids), 1), np.uint8),
        fields=names,
        steps=("click",),
        impression_id=np.arange(len(ids)),
    )


def test_ids_within_their_fields_pass():
    check_ids(examples([[0, 4], [2, 0]]), [3, 5])
    check_ids(examples(np.empty((0, 2))), [3, 5])


def test_an_id_that_would_read_the_next_fields_row_is_refused():
    with pytest.raises(InputError, match="id 3 of 'a', whose vocabulary has 3 ids"):
        check_ids(examples([[3, 0]]), [3, 5])
