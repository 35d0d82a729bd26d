#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""interface.py NvInferImpl.h OUT.hpp: for each interface that the stand-in plays, a class that
implements every function of it by ending the program with the function's name. The stand-in
overrides what saccade calls; a call that it does not know of cannot pass unseen."""
import re
import sys

CLASSES = ("VRuntime", "VCudaEngine", "VExecutionContext")


def body_of(text, name):
    start = re.search(rf"class {name} : public VRoot\s*{{", text)
    if not start:
        raise SystemExit(f"NvInferImpl.h has no class {name}: another version?")
    body = text[start.end():text.index("\n};", start.end())]
    return re.sub(r"//[^\n]*", "", body)


def functions(body):
    """Declarations of pure functions, comments gone, a line each."""
    for declaration in re.findall(r"virtual\s+(.*?)=\s*0\s*;", body, re.S):
        yield " ".join(declaration.split())


def main():
    source, target = sys.argv[1:]
    text = open(source, encoding="utf-8").read()
    out = ["// Made by interface.py from NvInferImpl.h.", "#pragma GCC system_header", "#include <cstdlib>", "#include <cstdio>",
           "", "namespace stand_in {", "using namespace nvinfer1;", "",
           "[[noreturn]] inline void not_played(const char *name)", "{",
           '    std::fprintf(stderr, "stand-in: %s is called and not played\\n", name);',
           "    std::abort();", "}"]
    for name in CLASSES:
        out += ["", f"class {name} : public apiv::{name} {{", "public:"]
        for declaration in functions(body_of(text, name)):
            called = re.search(r"(\w+)\(", declaration).group(1)
            out.append(f"    {declaration} override {{ not_played(\"{name}::{called}\"); }}")
        out.append("};")
    out += ["", "} // namespace stand_in", ""]
    with open(target, "w", encoding="utf-8") as file:
        file.write("\n".join(out))


if __name__ == "__main__":
    main()
