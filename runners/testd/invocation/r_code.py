"""The R side of a function in R: the API, how the function is found and called, and values as R's code. Pure.

Both sides write lines; fields stand between tabs, and are encoded as in URLs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["literal", "program"]

_PROGRAM = r"""
.testd <- new.env()
.testd$libraries <- @LIBRARIES@
if (length(.testd$libraries)) {
  .libPaths(c(.testd$libraries, .libPaths()))
  Sys.setenv(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep))  # for an R that the function starts
}
.testd$out <- suppressWarnings(file("/dev/fd/@OUT@", open = "wb"))
.testd$inp <- suppressWarnings(file("/dev/fd/@IN@", open = "rb"))
.testd$encode <- function(text) utils::URLencode(enc2utf8(as.character(text)), reserved = TRUE)
.testd$decode <- function(text) { found <- utils::URLdecode(text); Encoding(found) <- "UTF-8"; found }
.testd$tell <- function(...) {
  fields <- vapply(list(...), .testd$encode, "")
  writeLines(paste(fields, collapse = "\t"), .testd$out)
  flush(.testd$out)
}
.testd$ask <- function(...) {
  .testd$tell(...)
  fields <- strsplit(paste0(readLines(.testd$inp, n = 1), "\t."), "\t", fixed = TRUE)[[1]]
  fields <- vapply(fields[-length(fields)], .testd$decode, "", USE.NAMES = FALSE)
  if (fields[1] == "error") stop(fields[2], call. = FALSE)
  fields[-1]
}
.testd$end <- function() {
  signalCondition(structure(class = c("testd_end", "condition"), list(message = "", call = NULL)))
}

faasr_put_file <- function(local_file, remote_file, server_name = "", local_folder = ".", remote_folder = ".") {
  .testd$ask("put", local_file, remote_file, server_name, local_folder, remote_folder)
  invisible(TRUE)
}
faasr_get_file <- function(local_file, remote_file, server_name = "", local_folder = ".", remote_folder = ".") {
  .testd$ask("get", local_file, remote_file, server_name, local_folder, remote_folder)
  invisible(TRUE)
}
faasr_delete_file <- function(remote_file, server_name = "", remote_folder = "") {
  .testd$ask("delete", remote_file, server_name, remote_folder)
  invisible(TRUE)
}
faasr_get_folder_list <- function(server_name = "", faasr_prefix = "", prefix = faasr_prefix) {
  as.list(.testd$ask("list", server_name, prefix))
}
faasr_log <- function(log_message) { .testd$ask("log", log_message); invisible(TRUE) }
faasr_rank <- function() {
  found <- as.integer(.testd$ask("rank"))
  list(max_rank = found[1], rank = found[2])
}
faasr_invocation_id <- function() .testd$ask("id")
faasr_secret <- function(secret_name) .testd$ask("secret", secret_name)
faasr_get_s3_creds <- function(server_name = "") {
  found <- .testd$ask("credentials", server_name)
  names <- found[c(TRUE, FALSE)]
  values <- as.list(found[c(FALSE, TRUE)])
  names(values) <- names
  values$anonymous <- identical(values$anonymous, "True")
  values
}
faasr_arrow_s3_bucket <- function(server_name = "", faasr_prefix = "") {
  creds <- faasr_get_s3_creds(server_name)
  parts <- strsplit(creds$endpoint, "://", fixed = TRUE)[[1]]
  more <- if (length(parts) == 2) list(scheme = parts[1], endpoint_override = parts[2]) else list()
  keys <- if (creds$anonymous) list(anonymous = TRUE) else
    list(access_key = creds$access_key, secret_key = creds$secret_key)
  if (nzchar(creds$region)) more$region <- creds$region
  bucket <- do.call(arrow::s3_bucket, c(list(creds$bucket), keys, more))
  prefix <- paste(Filter(nzchar, c(creds$prefix, faasr_prefix)), collapse = "/")
  if (nzchar(prefix)) bucket$cd(prefix) else bucket
}
faasr_return <- function(return_value = NULL) { .testd$value <- return_value; .testd$end() }
faasr_exit <- function(message = NULL, error = TRUE, traceback = NULL) {
  if (error) stop(if (is.null(message)) "the function ended itself as failed" else message, call. = FALSE)
  .testd$end()
}

.testd$find <- function(name) {
  for (path in @FILES@) {
    failed <- tryCatch({ sys.source(path, envir = globalenv()); "" }, error = function(e) conditionMessage(e))
    if (nzchar(failed)) .testd$ask("warn", paste0("Skipping ", basename(path), " due to error: ", failed))
    if (exists(name, envir = globalenv(), mode = "function", inherits = FALSE)) return(invisible(TRUE))
  }
  stop(paste0("there is no function ", name, " in ", @FOLDER@), call. = FALSE)
}
.testd$calls <- character()
tryCatch(
  withCallingHandlers({
    .testd$find(@NAME@)
    .testd$value <- NULL
    .testd$value <- do.call(@NAME@, @ARGUMENTS@)
  }, error = function(e) {
    .testd$calls <- vapply(sys.calls(), function(call) paste(utils::head(deparse(call), 3), collapse = " "), "")
  }),
  testd_end = function(e) NULL,
  error = function(e) {
    hidden <- grepl("testd|tryCatch|withCallingHandlers|simpleError|h\\(", .testd$calls)
    .testd$tell("fail", conditionMessage(e), paste(.testd$calls[!hidden], collapse = "\n"))
    quit(save = "no", status = 0)
  }
)
value <- .testd$value
if (is.logical(value) && length(value) == 1 && !is.na(value)) .testd$tell("return", if (value) "True" else "False")
"""


def program(
    *, reader: int, writer: int, files: list[str], folder: str, name: str, arguments: dict[str, Any],
    libraries: list[str],
) -> str:  # fmt: skip
    """Return the code that calls a function. It reads answers from descriptor `reader`, and writes to `writer`.

    `libraries` are folders of packages that come first.
    """
    parts = {
        "@OUT@": str(writer), "@IN@": str(reader), "@FILES@": _vector([literal(path) for path in files]),
        "@FOLDER@": literal(folder), "@NAME@": literal(name), "@ARGUMENTS@": _list(arguments),
        "@LIBRARIES@": _vector([literal(path) for path in libraries]),
    }  # fmt: skip
    text = _PROGRAM
    for mark, code in parts.items():
        text = text.replace(mark, code)
    return text


def literal(value: Any) -> str:
    """Return a value of JSON as R's code: a list of values of one simple type is a vector."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return '"' + "".join(_escaped(char) for char in value) + '"'
    if isinstance(value, dict):
        return _list(value)
    simple = {type(each) for each in value}
    parts = [literal(each) for each in value]
    if value and (simple <= {int, float} or simple in ({str}, {bool})):
        return _vector(parts)
    return "list({})".format(", ".join(parts))


def _vector(parts: list[str]) -> str:
    return "c({})".format(", ".join(parts))


def _list(values: dict[str, Any]) -> str:
    return "list({})".format(", ".join(f"{literal(key)} = {literal(value)}" for key, value in values.items()))


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if " " <= char <= "~" else f"\\U{{{ord(char):x}}}"
