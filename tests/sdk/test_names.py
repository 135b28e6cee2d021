"""The names of ``pannier.sdk``: those that a type checker sees are those that are loaded, each when it is asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from pannier import sdk


def seen_by_a_type_checker() -> dict[str, str]:
    """Return what is imported where only a type checker looks: names, and the modules that they are of."""
    tree = ast.parse(Path(sdk.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module or "" for node in imports for alias in node.names}


def test_each_name_is_that_of_its_module() -> None:
    seen = seen_by_a_type_checker()
    assert sorted(seen) == sorted(sdk.__all__)
    for name, module in seen.items():
        assert getattr(sdk, name) is getattr(import_module(module), name)
    assert set(sdk.__all__) <= set(dir(sdk))


def test_a_name_that_is_none_is_an_error_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Cleint'"):
        _ = sdk.Cleint  # type: ignore[attr-defined]


def test_the_package_alone_loads_nothing() -> None:
    program = "import sys, pannier.sdk; print(*sorted(name for name in sys.modules if 'pannier' in name))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert set(done.stdout.split()) - {"__editable___pannier_finder"} == {"pannier", "pannier.sdk"}
