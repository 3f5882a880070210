"""The engine's own matrix products against numpy's."""

import numpy as np
import pytest

from federation.data import FEATURES
from federation.product import LANES, ROWS_MIN, multiply, multiply_transposed


@pytest.mark.parametrize("columns", [LANES, 2 * LANES, 4 * LANES, 5 * LANES])
@pytest.mark.parametrize("rows", [ROWS_MIN, ROWS_MIN + 1, FEATURES, 128])
@pytest.mark.parametrize("terms", [1, 7, FEATURES])
def test_products_are_numpys(rows: int, columns: int, terms: int) -> None:
    random = np.random.default_rng(rows * terms)
    a = random.normal(size=(rows, terms)).astype(np.float32)
    b = random.normal(size=(terms, columns)).astype(np.float32)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    around = np.full((rows + 2, columns), 7, np.float32)  # what lies before and behind stays
    multiply(a, b, around[1:-1])
    np.testing.assert_allclose(around[1:-1], expected, rtol=0, atol=2e-5)
    assert (around[[0, -1]] == 7).all()
    around[1:-1] = 0
    multiply_transposed(np.ascontiguousarray(a.T), b, around[1:-1])
    np.testing.assert_allclose(around[1:-1], expected, rtol=0, atol=2e-5)
    assert (around[[0, -1]] == 7).all()


def test_columns_without_a_row_on_the_other_side_do_not_count() -> None:
    a = np.arange(ROWS_MIN * LANES, dtype=np.float32).reshape(ROWS_MIN, LANES)
    b = np.ones((7, LANES), np.float32)
    out = np.empty((ROWS_MIN, LANES), np.float32)
    multiply(a, b, out)
    np.testing.assert_array_equal(out, np.repeat(a[:, :7].sum(axis=1)[:, None], LANES, axis=1))
