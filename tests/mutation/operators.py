"""Mechanical mutants: what a slip of the hand makes of an expression or a statement."""

import re

from patches import HEADERS, Patch, initialises

QUIET = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'|//[^\n]*|/\*.*?\*/', re.DOTALL)
# What is read by people, or by the compiler alone.
NO_CODE = re.compile(
    r"^\s*#[^\n]*"
    r"|\b(?:static_assert|throw)\b[^;]*;"
    r"|\btemplate <[^\n]*|\brequires\b[^\n{]*|\bconcept\b[^;]*;|\busing\b[^;]*;"
    r"|\bconstexpr [^\n(]*=[^;]*;|\bnoexcept\([^)]*\)|\[\[\w+\]\]|\boperator\W+\(",
    re.MULTILINE,
)
OTHER = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
         "+": "-", "-": "+", "&&": "||", "||": "&&", "+=": "-=", "-=": "+=", "%": "/"}
LEVEL = {"=": 0, "+=": 0, "-=": 0, "?": 1, ":": 1, "||": 2, "&&": 3, "|": 4, "^": 4, "&": 4,
         "==": 5, "!=": 5, "<": 6, "<=": 6, ">": 6, ">=": 6, "<<": 7, ">>": 7, "+": 8, "-": 8,
         "*": 9, "/": 9, "%": 9}
BINARY = re.compile(r"(?<=\s)(<<|>>|[<>=!+\-*/|]=|&&|\|\||[<>+\-*/%=?:&|^])(?=\s)")
STATEMENT = re.compile(r"^([ \t]+)([^\s/#][^\n]*;)[ \t]*$", re.MULTILINE)
DECLARATION = re.compile(
    r"^(?:auto|friend|static|typename|using|mutable|inline|explicit|else|case|default|return|~)\b"
    r"|^(?:class|enum|struct|union|noexcept)\b|^\{ .* \} ->"
    r"|^.*\) (?:noexcept )?= (?:default|delete);"
    r"|^\[\[|^(?:MARCONI_\w+ )?(?:mutable )?[\w:]+(?:<[^;]*>)?(?: const)?[ &*]+(?:const )?"
    r"(?!operator)\w+(?: =| :|[({;,]|\[)"
)
CALL = re.compile(r"[\w.:>\-]*\b(\w+)\((\w+), (\w+)\)")


def blank(text, pattern):
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def code_of(text):
    """The text, of the same length, with what is no code to mutate in blanks; of MARCONI_EXPECT
    the condition alone is left."""
    text = blank(blank(text, QUIET), NO_CODE)
    for found in list(re.finditer(r"\bMARCONI_EXPECT\(", text)):
        first = forward(text, found.end(), -1, ",")
        last = forward(text, first, -1, "")
        text = text[:first] + re.sub(r"[^\n]", " ", text[first:last]) + text[last:]
    return text


def forward(code, at, level, stops=",;"):
    """Where an operand that begins at `at` ends: at an operator of a lower or the same level."""
    depth = 0
    while at < len(code):
        c = code[at]
        if depth == 0 and (c in ")]}" or c in stops or (c == "{" and code[at - 1] == " ")):
            return at
        depth += (c in "([{") - (c in ")]}")
        if depth == 0 and (op := BINARY.match(code, at)):
            if LEVEL.get(op.group(), 0) <= level:
                return at
            at = op.end() - 1
        at += 1
    return at


def backward(code, at, level):
    """Where the operand that ends at `at` begins: after an operator of a lower level."""
    operators = {m.start(): m for m in BINARY.finditer(code, max(0, at - 2000), at)}
    depth = 0
    for i in range(at - 1, -1, -1):
        c = code[i]
        if depth == 0 and (c in "([{,;" or (c == "}" and code[i + 1] in " \n")):
            return i + 1
        depth += (c in ")]}") - (c in "([{")
        if depth == 0:
            if i in operators and LEVEL.get(operators[i].group(), 0) < level:
                return operators[i].end()
            if re.compile(r"\b(return|else|throw|case)\b").match(code, i):
                return i + re.match(r"\w+", code[i:]).end()
    return 0


def trim(code, start, end):
    while start < end and code[start].isspace():
        start += 1
    while end > start and code[end - 1].isspace():
        end -= 1
    return start, end


def binaries(code):
    for op in BINARY.finditer(code):
        if op.group() not in OTHER:
            continue
        level = LEVEL[op.group()]
        start, end = trim(code, backward(code, op.start(), level), forward(code, op.end(), level))
        if start < op.start() and op.end() < end:
            new = code[start : op.start()] + OTHER[op.group()] + code[op.end() : end]
            yield f"{op.group()} for {OTHER[op.group()]}", start, end, new


def steps(code):
    for op in re.finditer(r"(?:\+\+|--)(?=[\w(])", code):
        at = op.end()
        while at < len(code) and re.match(r"[\w.(\[]|->|::", code[at:]):
            at = forward(code, at + 1, -1, "") + 1 if code[at] in "([" else at + 1
            if code[at - 1] == "-":
                at += 1
        other = "--" if op.group() == "++" else "++"
        yield f"{op.group()} for {other}", op.start(), at, other + code[op.end() : at]


def constants(code):
    for found in re.finditer(r"(?<![\w.'])(\d+)(u|ull)?(?![\w.'])", code):
        number, suffix = int(found[1]), found[2] or ""
        for new in {0: [1], 1: [0, 2]}.get(number, [number + 1]):
            yield f"{found.group()} for {new}", found.start(), found.end(), f"{new}{suffix}"


def conditions(code):
    for found in re.finditer(r"\b(?:if|while) \(", code):
        end = forward(code, found.end(), -2, "")
        inner = code[found.end() : end]
        if ";" not in inner and not re.search(r"(?<![=!<>])=(?!=)", inner):
            yield "condition negated", found.end(), end, f"!({inner})"


def dropped(code):
    for found in STATEMENT.finditer(code):
        before = code[: found.start()].rstrip()
        last_line = before[before.rfind("\n") + 1 :].strip()
        follows = before.endswith((";", "{", "}", ":")) or (
            before.endswith(")") and re.match(r"(\} else )?(if|for|while)\b", last_line)
        ) or last_line in ("else", "} else")
        text = found[2]
        if follows and not DECLARATION.match(text) and balanced(text):
            yield "dropped", found.start(2), found.end(2), ";"


def balanced(text):
    return all(text.count(a) == text.count(b) for a, b in ("()", "[]", "{}"))


def swapped(code):
    for found in CALL.finditer(code):
        name, a, b = found.groups()
        if name not in ("min", "max", "swap", "assert") and a != b:
            new = found.group()[: found.start(2) - found.start()] + f"{b}, {a})"
            yield "arguments swapped", found.start(), found.end(), new


def all_mutants(root, folders):
    """Every mutant of the headers in some folders of include/marconi, numbered in their order."""
    found = []
    for folder in folders:
        for file in sorted((root / HEADERS / folder).rglob("*.hpp")):
            text = file.read_text()
            code = code_of(text)
            path = file.relative_to(root / HEADERS).as_posix()
            for make in (binaries, steps, constants, conditions, dropped, swapped):
                for name, start, end, new in make(code):
                    line = text.count("\n", 0, start) + 1
                    # What was blanked inside is a comment or a string: better left alone.
                    if code[start:end] == text[start:end]:
                        found.append((name, path, start, line, text[start:end], new,
                                      initialises(text, start)))
    return [Patch(number, *mutant) for number, mutant in enumerate(found, 1)]
