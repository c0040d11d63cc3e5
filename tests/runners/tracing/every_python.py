"""Runs the functions of a file on this interpreter, and prints what became of each as JSON: name → traceback or null.

    python every_python.py FILE

Nothing but the standard library is there; the file imports `testd` from `PYTHONPATH`.
"""

import asyncio
import importlib.util
import inspect
import json
import os
import sys
import traceback
import warnings


def main() -> None:
    """Run all public functions that the file defines, in their order."""
    path = sys.argv[1]
    warnings.simplefilter("error")
    sys.path.insert(0, os.path.dirname(path))
    spec = importlib.util.spec_from_file_location("facts_" + os.path.splitext(os.path.basename(path))[0], path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    results = {}
    for name, function in list(vars(module).items()):
        if inspect.isfunction(function) and function.__module__ == spec.name and name.startswith("fact_"):
            try:
                outcome = function()
                if inspect.isawaitable(outcome):
                    asyncio.run(outcome)
            except BaseException:
                results[name] = traceback.format_exc()
            else:
                results[name] = None
    print(json.dumps(results))


if __name__ == "__main__":
    main()
