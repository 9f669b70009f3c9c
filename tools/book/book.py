#!/usr/bin/env python3
"""
The book: checks docs/ and makes web pages of it.

    tools/book/book.py check           links, anchors, and names of files and functions; prints what is wrong, status 1
    tools/book/book.py build FOLDER    the same, then one page a chapter and an index; needs python3-markdown

What the check holds every page to:
    a relative link leads to a file of the repository, its #anchor to a heading there;
    a file named in `backticks` exists: with a path from the root, or by a name that some file of ours has;
    a function or variable named in `backticks` (a word with an underscore) still stands in the sources;
    a test named in `backticks` (ktest/…, boot/…) is the beginning of the name of one there is;
    a fenced block is of a kind known to tools/book/live.py.
"""
import glob
import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
import sys

import live

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = sorted(glob.glob("docs/*.md", root_dir=ROOT)) + ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
SOURCE = r"\.(?:c|h|S|py|md|mk|ld|pml|gdb|txt)"
TOP = r"(?:abi|arch|core|dev|docs|fs|lib|mk|mm|proc|sched|sync|syscall|tests|tools|user|vm)/"
TEST = r"(?:ktest|host|boot|screen|user|user-host)/[\w.-]+"
# Fenced blocks that nobody runs: text, and code in some language.
PLAIN_KINDS = {"", "text", "c", "sh"}


def read(path):
    with open(os.path.join(ROOT, path), errors="replace") as file:
        return file.read()


def our_files():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    return [name for name in listed.stdout.splitlines() if os.path.isfile(os.path.join(ROOT, name))]


def tests():
    """The names of all tests; tools/lint/coverage knows them."""
    loader = importlib.machinery.SourceFileLoader("coverage_of_tests", os.path.join(ROOT, "tools/lint/coverage"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module.existing()


def without_code(text):
    """Fenced and indented blocks blanked, line numbers kept."""
    kept, fenced = [], False
    for line in text.split("\n"):
        if line.startswith("```"):
            fenced = not fenced
            line = ""
        kept.append("" if fenced or line.startswith("    ") else line)
    return "\n".join(kept)


def slug(heading, separator="-"):
    """A heading's anchor, as the usual Markdown web sites make it."""
    heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", heading).replace(" ", separator)


def anchors(path):
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", without_code(read(path)), flags=re.M)}


def braces(name):
    """`a.{c,h}` is a.c and a.h."""
    match = re.search(r"\{([^}]*)\}", name)
    if not match:
        return [name]
    return [one for choice in match.group(1).split(",") for one in braces(name[:match.start()] + choice + name[match.end():])]


class Names:
    """What may stand in backticks."""

    def __init__(self):
        files = our_files()
        self.base = {os.path.basename(name) for name in files}
        text = (read(name) for name in files if name.endswith((".c", ".h", ".S", ".py", ".mk", ".ld", ".pml")))
        self.tests = tests()
        self.words = set(re.findall(r"\w+", "\n".join(text)))

    def problem(self, code):
        """What is wrong with a piece of code in the text, or None."""
        code = re.sub(r"^arch/(\w+\.h)$", r"arch/x86_64/include/arch/\1", code.split(":")[0])
        if re.fullmatch(TEST, code) and not os.path.exists(os.path.join(ROOT, code)):
            if not any(name.startswith(code) for name in self.tests):
                return f"there is no test {code}"
        elif re.fullmatch(TOP + r"[\w./*{},-]*", code):
            # Not a name of a test, which has neither an ending nor a slash at its end.
            if re.search(SOURCE + "$|[/*}]$", code) and not all(glob.glob(os.path.join(ROOT, one)) for one in braces(code)):
                return f"there is no {code}"
        elif re.fullmatch(r"[\w-]+" + SOURCE, code):
            if code not in self.base:
                return f"no file of ours is called {code}"
        elif re.fullmatch(r"[a-z]\w*_\w+(\(\))?", code):
            if code.removesuffix("()") not in self.words:
                return f"{code} stands nowhere in the sources"
        return None


def check():
    problems = []
    names = Names()
    known = PLAIN_KINDS | set(live.KINDS)
    for page in PAGES:
        text = read(page)
        for kind, number in live.fences(text):
            if kind not in known and live.FENCE.fullmatch(kind).group(1) not in live.KINDS:
                problems.append(f"{page}:{number}: a block of unknown kind {kind!r}")
        for number, line in enumerate(without_code(text).split("\n"), 1):
            for target in re.findall(r"\]\(([^)\s]+)\)", line):
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                path = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
                if not os.path.exists(os.path.join(ROOT, path)):
                    problems.append(f"{page}:{number}: the link {target} leads nowhere")
                elif anchor and anchor not in anchors(path):
                    problems.append(f"{page}:{number}: {path} has no heading #{anchor}")
            for code in re.findall(r"`([^`]+)`", line):
                wrong = names.problem(code)
                if wrong:
                    problems.append(f"{page}:{number}: {wrong}")
    return problems


# --- pages ---

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="stylesheet" href="book.css"></head>
<body><nav>{nav}</nav>
<main>{body}</main>
<nav>{nav}</nav></body></html>
"""


def title_of(page):
    return re.search(r"^# (.*)$", read(page), flags=re.M).group(1)


def page_name(page):
    return "index.html" if page == "docs/README.md" else os.path.basename(page)[:-3].lower() + ".html"


def local_links(html, folder, page):
    """Links to other pages of the book, to pictures, and by name to what is not in the book."""
    def link(match):
        attribute, target = match.group(1), match.group(2)
        if re.match(r"[a-z]+:|#", target):
            return match.group(0)
        path, _, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(page), path))
        if path in BOOK:
            return f'{attribute}="{page_name(path)}{"#" + anchor if anchor else ""}"'
        if attribute == "src":
            os.makedirs(os.path.join(folder, "images"), exist_ok=True)
            shutil.copy(os.path.join(ROOT, path), os.path.join(folder, "images"))
            return f'src="images/{os.path.basename(path)}"'
        return f'{attribute}="{os.path.relpath(os.path.join(ROOT, path), folder)}"'
    return re.sub(r'\b(href|src)="([^"]*)"', link, html)


BOOK = [page for page in PAGES if page not in ("README.md", "CONTRIBUTING.md")]


def build(folder):
    import markdown
    folder = os.path.abspath(folder)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    shutil.copy(os.path.join(ROOT, "tools/book/book.css"), folder)
    chapters = [page for page in BOOK if re.match(r"docs/\d", page)]
    for page in BOOK:
        html = markdown.markdown(read(page), output_format="html", extensions=["tables", "fenced_code", "toc", "sane_lists"],
                                 extension_configs={"toc": {"slugify": slug}})
        nav = ['<a href="index.html">contents</a>']
        if page in chapters:
            at = chapters.index(page)
            around = ([("← ", chapters[at - 1])] if at else []) + ([("→ ", chapters[at + 1])] if at + 1 < len(chapters) else [])
            nav += [f'<a href="{page_name(other)}">{arrow}{title_of(other)}</a>' for arrow, other in around]
        body = local_links(html, folder, page)
        with open(os.path.join(folder, page_name(page)), "w") as out:
            out.write(PAGE.format(title=title_of(page) + " · Ashlar", nav=" · ".join(nav), body=body))
    return check_pages(folder)


def check_pages(folder):
    """Every local link of the finished pages leads somewhere."""
    problems = []
    ids = {}
    pages = sorted(glob.glob("*.html", root_dir=folder))
    for page in pages:
        with open(os.path.join(folder, page)) as file:
            ids[page] = (text := file.read()), set(re.findall(r'\bid="([^"]*)"', text))
    for page in pages:
        for target in re.findall(r'\b(?:href|src)="([^"]*)"', ids[page][0]):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            if path and not os.path.exists(os.path.join(folder, path)):
                problems.append(f"{page}: the link {target} leads nowhere")
            elif anchor and (path or page) in ids and anchor not in ids[path or page][1]:
                problems.append(f"{page}: there is no {target}")
    return problems


def main():
    if sys.argv[1:2] not in (["check"], ["build"]):
        sys.exit(__doc__)
    problems = check()
    if not problems and sys.argv[1] == "build":
        problems = build(sys.argv[2])
        if not problems:
            print(f"{sys.argv[2]}/index.html")
    print("\n".join(problems), end="\n" if problems else "")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
