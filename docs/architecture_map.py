"""Draw the rooms of the code from its imports: python docs/architecture_map.py [--check] [--root FOLDER].

Prints rooms, floors, imports that run up, circles of files, and functions over 40 lines. Writes the picture, and the
section of docs/architecture.md between the two markers. The floors are those of the contracts in pyproject.toml.

--check writes nothing, and exits with 1 if the picture or the section is not what the code gives, if an import runs up,
if files import each other in a circle, or if the page or CONTRIBUTING.md names what does not exist. --root reads
another checkout: its numbers are printed, nothing is written.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
PAGE, PICTURE = "docs/architecture.md", "docs/images/rooms.svg"
PAGES = (PAGE, "CONTRIBUTING.md")
BEGIN, END = "<!-- rooms, written by architecture_map.py -->", "<!-- end of rooms -->"

# What each package is, in the order of the picture: the first stands above the other two.
ABOUT = {"segeval_cli": "the command", "segeval": "the library", "segeval_baselines": "the baselines"}

# The one import by name that may run up: a result finds the rule that made it.
BY_NAME = {("segeval.results.result", "segeval.metrics.tasks")}

LONG = 40


@dataclass(frozen=True)
class Module:
    """One file of the code."""

    name: str
    path: Path
    tree: ast.Module
    is_package: bool


@dataclass(frozen=True)
class Contract:
    """The floors of one container, the highest first; the rooms of a floor, and whether these may import each other."""

    container: str
    floors: tuple[tuple[str, ...], ...]
    friends: tuple[bool, ...]

    def place(self, module: str) -> tuple[int, str] | None:
        """The floor of a module, counted from the top, and its room."""
        inside = module.removeprefix(f"{self.container}.") if self.container else module
        if self.container and inside == module:
            return None
        room = inside.partition(".")[0]
        return next(((k, room) for k, floor in enumerate(self.floors) if room in floor), None)

    def breaks(self, importer: str, imported: str) -> bool:
        """Whether an import runs up, or to a stranger on the same floor."""
        here, there = self.place(importer), self.place(imported)
        if here is None or there is None or here[1] == there[1]:
            return False
        return there[0] < here[0] or (there[0] == here[0] and not self.friends[here[0]])


@dataclass(frozen=True)
class Code:
    """The modules of a checkout by name, its contracts, and who imports whom: as a statement, and by name."""

    root: Path
    packages: tuple[str, ...]
    modules: dict[str, Module]
    contracts: tuple[Contract, ...]
    imports: dict[str, set[str]]
    by_name: dict[str, set[str]]

    def of(self, package: str) -> list[Module]:
        """The modules of a package."""
        return [m for name, m in sorted(self.modules.items()) if name.partition(".")[0] == package]

    def contract(self, container: str) -> Contract | None:
        """The contract about the floors of a package."""
        return next((c for c in self.contracts if c.container == container), None)

    def rooms(self, package: str) -> list[str]:
        """What stands directly in a package."""
        inside = {m.name.split(".")[1] for m in self.of(package) if "." in m.name}
        return sorted(inside - {"__main__"})


# ---- reading --------------------------------------------------------------------------------------------------------


def read(root: Path) -> Code:
    """The code of a checkout."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    folders = [root / folder for folder in project["hatch"]["build"]["targets"]["wheel"]["packages"]]
    modules = {m.name: m for folder in folders for m in modules_of(folder)}
    layered = [c for c in project["importlinter"]["contracts"] if c["type"] == "layers"]
    contracts = [made for c in layered for made in contracts_of(c)]
    imports = {name: {i for i in imports_of(m, modules) if i != name} for name, m in modules.items()}
    by_name = {name: set(names_of(m)) & modules.keys() for name, m in modules.items()}
    return Code(root, tuple(f.name for f in folders), modules, tuple(contracts), imports, by_name)


def modules_of(folder: Path) -> Iterator[Module]:
    """The files below a package's folder."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        yield Module(name, path, ast.parse(path.read_text(encoding="utf-8")), is_package)


def contracts_of(entry: dict[str, object]) -> Iterator[Contract]:
    """A contract of import-linter for each of its containers."""
    layers = [str(layer) for layer in entry["layers"]]  # type: ignore[attr-defined]
    floors = tuple(tuple(re.split(r"\s*[|:]\s*", layer)) for layer in layers)
    for container in entry.get("containers", [""]):  # type: ignore[attr-defined]
        yield Contract(container, floors, tuple(":" in layer for layer in layers))


def imports_of(module: Module, known: dict[str, Module]) -> Iterator[str]:
    """The modules of the project that a module imports: anywhere in it, also for its types alone."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            source = source_of(node, module)
            for alias in node.names:
                name = f"{source}.{alias.name}"
                if name in known or source in known:
                    yield name if name in known else source


def source_of(node: ast.ImportFrom, module: Module) -> str:
    """The module after ``from``, also where it is relative."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    above = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*above, *([node.module] if node.module else [])])


def names_of(module: Module) -> Iterator[str]:
    """The modules that a module hands to ``import_module`` as they are written."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))


# ---- finding --------------------------------------------------------------------------------------------------------


def upward(code: Code, package: str) -> list[str]:
    """The imports of a package that a contract forbids."""
    found = []
    for module in code.of(package):
        for imported in sorted(code.imports[module.name] | code.by_name[module.name]):
            said = (module.name, imported) in BY_NAME and imported not in code.imports[module.name]
            if not said and any(c.breaks(module.name, imported) for c in code.contracts):
                found.append(f"{module.name} -> {imported}")
    return found


def circles(code: Code, package: str) -> list[list[str]]:
    """The sets of files of a package that reach each other."""
    names = [m.name for m in code.of(package)]
    reached = {name: reach(code, name) for name in names}
    found = {tuple(sorted(b for b in reached[a] if a in reached.get(b, ()))) for a in names if a in reached[a]}
    return [list(circle) for circle in sorted(found)]


def reach(code: Code, start: str) -> set[str]:
    """The modules to which imports lead; the first is among them only if they lead back."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = code.imports[waiting.pop()] - seen
        seen |= new
        waiting += new
    return seen


def functions(code: Code, package: str) -> list[tuple[int, str]]:
    """The lines of each function of a package, its docstring left out, and where it begins."""
    found = []
    for module in code.of(package):
        where = module.path.relative_to(code.root).as_posix()
        made = [n for n in ast.walk(module.tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
        found += [(lines_of(node), f"{where}:{node.lineno} {node.name}") for node in made]
    return sorted(found, key=lambda f: (-f[0], f[1]))


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function, its docstring left out."""
    about = node.body[0] if ast.get_docstring(node) is not None else None
    return span(node) - (span(about) if about else 0)


def span(node: ast.stmt) -> int:
    """The lines of a statement."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


# ---- telling --------------------------------------------------------------------------------------------------------


def report(code: Code) -> str:
    """Every number, and below them what was counted."""
    heads = ("", "modules", "rooms", "floors", "upward imports", "circles", "functions", f"over {LONG} lines")
    rows: list[tuple[str, ...]] = [heads]
    lists: list[str] = []
    for package in sorted(code.packages):
        contract = code.contract(package)
        up, round_about, made = upward(code, package), circles(code, package), functions(code, package)
        long = [f for f in made if f[0] > LONG]
        floors = len(contract.floors) if contract else "-"
        counts = (len(code.of(package)), len(code.rooms(package)), floors, len(up), len(round_about), len(made))
        rows.append((package, *map(str, counts), str(len(long))))
        lists += listed(f"upward imports of {package}", up)
        lists += listed(f"circles of {package}", [" <-> ".join(circle) for circle in round_about])
        lists += listed(f"functions of {package} over {LONG} lines", [f"{n:4d}  {where}" for n, where in long])
    lists += listed("imports by name", [f"{a} -> {b}" for a, found in code.by_name.items() for b in sorted(found)])
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    table = [
        "  ".join(c.rjust(w) if k else c.ljust(w) for k, (c, w) in enumerate(zip(r, widths, strict=True))) for r in rows
    ]
    return "\n".join([*table, *lists])


def listed(title: str, lines: list[str]) -> list[str]:
    """Lines under a title, if there are any."""
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def sentence(code: Code, name: str) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(code.modules[name].tree) or "").partition("\n")[0]


def size(code: Code, room: str) -> int:
    """The files of a room that hold more than its docstring."""
    inside = [m for m in code.modules.values() if m.name == room or m.name.startswith(f"{room}.")]
    return sum(len(m.tree.body) > 1 or not m.is_package for m in inside)


def wings(code: Code, room: str) -> list[str]:
    """The folders in a room: in the order of its contract, if it has one."""
    inside = [
        m.name.removeprefix(f"{room}.") for m in code.modules.values() if m.is_package and m.name.startswith(f"{room}.")
    ]
    contract = code.contract(room)
    order = [name for floor in contract.floors for name in floor] if contract else sorted(inside)
    return [name for name in order if name in inside]


def section(code: Code) -> str:
    """The part of the page that the code writes."""
    lines = [BEGIN, "", "![The rooms, floor by floor](images/rooms.svg)", ""]
    for package, about in ABOUT.items():
        contract = code.contract(package)
        if contract is None:
            continue
        lines += [
            f"**`{package}`, {about}**",
            "",
            "| Floor | Room | Modules | What is in it |",
            "| ---: | :--- | ---: | :--- |",
        ]
        for k, floor in enumerate(contract.floors):
            for room in floor:
                text = sentence(code, f"{package}.{room}").replace("``", "`").replace("|", "\\|")
                lines.append(
                    f"| {len(contract.floors) - 1 - k} | `{room}` | {size(code, f'{package}.{room}')} | {text} |"
                )
        lines.append("")
    for contract in code.contracts:
        if "." in contract.container:
            floors = " / ".join(", ".join(f"`{room}`" for room in floor) for floor in contract.floors)
            lines += [f"The floors inside `{contract.container}`, from the top: {floors}.", ""]
    return "\n".join([*lines, END])


# ---- drawing --------------------------------------------------------------------------------------------------------

MARGIN, GAP, ROW, HEAD, INDENT = 24, 8, 52, 50, 26
LEFT, RIGHT = 620, 420
FONT = "font-family='Helvetica, Arial, sans-serif'"
INK, FAINT = "#1f2933", "#6b7683"

CAPTION = (
    "A room imports only from the floors below it. "
    "The command and the baselines import the library, never the reverse. "
    "A number counts the modules of a room; a room without one is a single file."
)

# Border and fill of the boxes of each package.
COLOURS = {
    "segeval_cli": ("#a68a5b", "#fbf7ef"),
    "segeval": ("#5b7a9d", "#f1f5fa"),
    "segeval_baselines": ("#6d8f72", "#f2f7f2"),
}


def picture(code: Code) -> str:
    """The rooms as boxes, the floors as rows, the packages as houses."""
    tall = {p: HEAD + ROW * len(c.floors) for p in ABOUT if (c := code.contract(p))}
    top = MARGIN + tall.get("segeval_cli", 0) + MARGIN
    width = MARGIN + LEFT + MARGIN + RIGHT + MARGIN
    low = top + max(tall.get("segeval", 0), tall.get("segeval_baselines", 0))
    height = low + 2 * MARGIN
    parts = [
        *house(code, "segeval_cli", MARGIN, MARGIN, width - 2 * MARGIN),
        *house(code, "segeval", MARGIN, low - tall.get("segeval", 0), LEFT),
        *house(code, "segeval_baselines", MARGIN + LEFT + MARGIN, low - tall.get("segeval_baselines", 0), RIGHT),
        text(MARGIN + INDENT, low + 20, CAPTION, 12, FAINT),
    ]
    size = f"viewBox='0 0 {width} {height}' width='{width}' height='{height}'"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' {size} role='img' {FONT}>"
    title = "<title>The rooms of segeval: a room imports only from the floors below it</title>"
    return "\n".join([head, title, f"<rect width='{width}' height='{height}' fill='#ffffff'/>", *parts, "</svg>", ""])


def house(code: Code, package: str, left: int, top: int, width: int) -> Iterator[str]:
    """One package: its name, and its floors below it."""
    contract = code.contract(package)
    if contract is None:
        return
    yield text(left + INDENT, top + 20, package, 17, weight="bold")
    rooms = len(code.rooms(package))
    yield text(left + INDENT, top + 38, f"{ABOUT[package]}: {rooms} rooms on {len(contract.floors)} floors", 12, FAINT)
    for k, floor in enumerate(contract.floors):
        y = top + HEAD + k * ROW
        yield text(left + INDENT - 12, y + 27, str(len(contract.floors) - 1 - k), 12, FAINT, anchor="end")
        each = (width - INDENT - GAP * (len(floor) - 1)) / len(floor)
        for n, room in enumerate(floor):
            yield from box(code, package, room, round(left + INDENT + n * (each + GAP)), y, round(each))


def box(code: Code, package: str, room: str, left: int, top: int, width: int) -> Iterator[str]:
    """One room: its name, the folders in it, and how many modules it has."""
    border, fill = COLOURS[package]
    name = f"{package}.{room}"
    yield f"<rect x='{left}' y='{top}' width='{width}' height='{ROW - GAP}' rx='3' fill='{fill}' stroke='{border}'/>"
    inside = wings(code, name)
    yield text(left + 10, top + (19 if inside else 27), room, 13, weight="bold")
    if inside:
        yield text(left + 10, top + 34, ", ".join(inside), 11, FAINT)
    if code.modules[name].is_package:
        yield text(left + width - 10, top + (19 if inside else 27), str(size(code, name)), 12, FAINT, anchor="end")


def text(
    x: int, y: int, words: str, size: int, colour: str = INK, weight: str = "normal", anchor: str = "start"
) -> str:
    """A line of text."""
    style = f"font-size='{size}' font-weight='{weight}' fill='{colour}' text-anchor='{anchor}'"
    return f"<text x='{x}' y='{y}' {style}>{escape(words)}</text>"


# ---- keeping --------------------------------------------------------------------------------------------------------


def wanted(code: Code) -> dict[str, str]:
    """The files that the code decides, as they should be."""
    page = (code.root / PAGE).read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} lacks the markers; put these two lines where the rooms belong:\n{BEGIN}\n{END}")
    return {PAGE: before + section(code) + after, PICTURE: picture(code)}


def lost(code: Code, page: str) -> list[str]:
    """The files, and the names in them (`room/module.name`), that a page mentions and the code does not have."""
    found = []
    for word in re.findall(r"`([\w.]*/[\w./]*)`", (code.root / page).read_text(encoding="utf-8")):
        path, _, name = word.partition(".") if word[0] != "." else (word, "", "")
        parts = path.split("/")
        module = code.modules.get(".".join(parts if parts[0] in code.packages else ["segeval", *parts]))
        known = module is not None and defines(module.tree.body, name)
        if not known and not (code.root / word).exists():
            found.append(word)
    return found


def defines(body: list[ast.stmt], name: str) -> bool:
    """Whether statements give a meaning to a name; a dot leads into a class."""
    first, _, rest = name.partition(".")
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == first:
            return not rest or defines(node.body, rest)
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if not rest and any(isinstance(t, ast.Name) and t.id == first for t in targets):
            return True
    return False


def faults(code: Code) -> list[str]:
    """What is not as it should be, one line each."""
    found = []
    for name, content in wanted(code).items():
        path = code.root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            found.append(f"{name} is not what the code gives; run python docs/architecture_map.py")
    for page in PAGES:
        found += [
            f"{page} names {word}, which does not exist; write what it is called now" for word in lost(code, page)
        ]
    for package in code.packages:
        found += [f"{line} runs up; move what is shared to a lower floor" for line in upward(code, package)]
        found += [
            f"{' <-> '.join(c)} import each other; move what they share to a third file" for c in circles(code, package)
        ]
    return found


def main() -> int:
    """Print and write the map, or check it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the map is not true")
    parser.add_argument("--root", type=Path, help="another checkout, whose numbers are printed")
    args = parser.parse_args()
    code = read((args.root or HERE).resolve())
    if args.check:
        found = faults(code)
        print(
            "\n".join(found) or f"the map is true: {sum(len(code.of(p)) for p in code.packages)} modules",
            file=sys.stderr,
        )
        return int(bool(found))
    if args.root is None:
        for name, content in wanted(code).items():
            (code.root / name).parent.mkdir(parents=True, exist_ok=True)
            (code.root / name).write_text(content, encoding="utf-8")
    print(report(code))
    return 0


if __name__ == "__main__":
    sys.exit(main())
