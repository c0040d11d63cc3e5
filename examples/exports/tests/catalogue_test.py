from library.catalogue import merge, read_titles

from testd.assertions import deep_equal, throws


async def comments_and_blank_lines_are_no_titles(t):
    path = t.tmp_path / "novels.txt"
    path.write_text("# novels\n\nEmma\n  Walden  \n")
    deep_equal(["Emma", "Walden"], await read_titles(path))


async def files_are_merged_without_doubles(t):
    (t.tmp_path / "a.txt").write_text("Walden\nEmma\n")
    (t.tmp_path / "b.txt").write_text("Emma\nDracula\n")
    deep_equal(["Dracula", "Emma", "Walden"], await merge(t.tmp_path / "a.txt", t.tmp_path / "b.txt"))


async def a_missing_file_is_told(t):
    await throws(merge(t.tmp_path / "missing.txt"), FileNotFoundError, "missing.txt")
