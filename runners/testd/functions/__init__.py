"""Run files and suites on a target: documents in, calls under observation, and what came of them.

Runs in stems and workers; standard library only, Python 3.8 and newer. `docs/functions.md` says what users may rely on.

    documents.py  what a file holds, each part with its line
    schemas.py    what a document must look like (generated), and checking.py, whether one does
    resolving.py  from a document to what is called, and with what
    actions.py    the project's callbacks, which are called before
    running.py    an item or a case, carried out
    judging.py    a case's assertions over the recorded calls
    operators.py  how what was expected and what came compare
    places.py     places in a value that are not compared
    coded.py      assertions that are code
    telling.py    what came of it: a result, and a text for people
"""
