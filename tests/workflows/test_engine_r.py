"""Functions in R, where there is an Rscript: the same API, the same verdicts."""

from __future__ import annotations

import os

import pytest
from flows import Flow

FUNCTIONS = r"""
    start <- function(folder, numbers, nested, flag = FALSE, nothing = NULL) {
      writeLines(paste0("sum ", sum(numbers), " \u00fc"), "x.txt")
      faasr_put_file(local_file = "x.txt", remote_folder = folder, remote_file = "x.txt")
      faasr_log(paste(nested$name, length(nested$list), flag, is.null(nothing)))
      faasr_log(faasr_secret("TOKEN"))
      cat("printed in R\n")
      TRUE
    }
    ranked <- function() {
      rank <- faasr_rank()
      faasr_log(paste(rank$rank, "of", rank$max_rank, faasr_invocation_id()))
      faasr_get_file("y.txt", "x.txt", remote_folder = "out")
      faasr_log(readLines("y.txt", encoding = "UTF-8"))
      faasr_log(paste(unlist(faasr_get_folder_list(faasr_prefix = "out")), collapse = " "))
      faasr_log(faasr_get_s3_creds()$bucket)
      faasr_delete_file("x.txt", remote_folder = "elsewhere")
    }
    inner <- function(x) stop("boom in R")
    fails <- function() inner(1)
    returns <- function() { faasr_return(FALSE); stop("never") }
    gives_up <- function() faasr_exit("no input")
    quits <- function() quit(status = 3)
    dies <- function() { tools::pskill(Sys.getpid(), 9); Sys.sleep(60) }
    gets <- function() faasr_get_file("x", "nope.txt")
    catches <- function() {
      faasr_log(tryCatch(faasr_get_file("x", "nope.txt"), error = function(e) "caught"))
      "no truth value"
    }
"""
NEEDS_R = pytest.mark.usefixtures("rscript")


def _r(**keys: object) -> dict[str, object]:
    return {"Type": "R", **keys}


@NEEDS_R
def test_functions_in_r_beside_those_in_python(flow: Flow) -> None:
    flow.functions(FUNCTIONS, "functions/all.R")
    flow.functions("stop('not for you')\n", "functions/aa_broken.R")
    flow.functions("def end(): faasr_log('python')\n")
    nested = {"name": 'qu"o\\te', "list": ["a", "b"]}
    arguments = {"folder": "out", "numbers": [1, 2, 3.5], "nested": nested, "flag": True}
    flow.workflow({
        "start": _r(Arguments=arguments, InvokeNext=[{"True": ["ranked(2)"], "False": []}]),
        "ranked": _r(InvokeNext=["end"]), "end": [],
    })  # fmt: skip
    told = flow.run(TOKEN="t0ken ü%")
    assert told.code == 0, told.failures()
    assert told.printed("start").splitlines() == ['qu"o\\te 2 TRUE TRUE', "t0ken ü%", "printed in R"]
    ranked = told.printed("ranked(2)").splitlines()
    assert ranked == [f"2 of 2 {told.plan['invocation']}", "sum 6.5 ü", "out/x.txt", "bucket"]
    assert told.printed("end") == "python\n"
    assert "Skipping aa_broken.R due to error: not for you" in told.log("start")
    assert "Starting function: start (R)" in told.log("start")


@NEEDS_R
def test_how_a_function_in_r_fails(flow: Flow) -> None:
    flow.functions(FUNCTIONS, "functions/all.R")
    names = ["fails", "returns", "gives-up", "quits", "dies", "gets", "catches", "nowhere"]
    flow.workflow({"first": _r(FunctionName="returns", InvokeNext=names), **{name: _r() for name in names}})
    told = flow.run()
    failed = {name for name, verdict in told.verdicts.items() if verdict == "failed"}
    assert failed == {"fails", "gives-up", "quits", "dies", "gets", "nowhere"}, told.failures()
    assert told.message("fails") == "boom in R"
    assert "inner(1)" in told.log("fails")
    assert "no input" in told.message("gives-up")
    assert "status 3" in told.message("quits")
    assert "signal 9" in told.message("dies")
    assert "S3 object not found: s3://bucket/nope.txt" in told.message("gets")
    assert "there is no function nowhere" in told.message("nowhere")
    assert told.printed("catches") == "caught\n"


def test_where_there_is_no_rscript_that_is_told(flow: Flow) -> None:
    flow.functions(FUNCTIONS, "functions/all.R")
    flow.workflow({"returns": _r()})
    path = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if not _has_r(folder))
    told = flow.run(PATH=path)
    assert told.verdicts == {"returns": "failed"}
    assert "there is no Rscript on this target's PATH" in told.message("returns")


def _has_r(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "Rscript"))
