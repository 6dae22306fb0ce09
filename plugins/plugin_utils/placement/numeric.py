# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NumPy, where it is there: this file imports without it, and says what is missing when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...module_utils.common.errors import MissingDependency

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    HAS_NUMPY = True
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
else:
    Floats = Ints = Bools = Any
    try:
        import numpy as np

        HAS_NUMPY = True
    except ImportError:
        HAS_NUMPY = False
        np = None

__all__ = ["Bools", "Floats", "Ints", "np", "require_numpy"]


def require_numpy() -> None:
    """Raise MissingDependency where NumPy is not installed."""
    if not HAS_NUMPY:
        raise MissingDependency("numpy", "the planner")
