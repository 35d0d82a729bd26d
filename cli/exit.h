// SPDX-License-Identifier: Apache-2.0
#ifndef SAC_CLI_EXIT_H
#define SAC_CLI_EXIT_H

/// The one list of exit codes: name, value, meaning (as the man pages print it).
#define CLI_EXITS(X)                                                                               \
    X(CLI_DONE, 0, "All is done.")                                                                 \
    X(CLI_FAILED, 1, "It failed while running: the engine, or an output that cannot be written.")  \
    X(CLI_USAGE, 2, "The command line is wrong; nothing was done.")                                \
    X(CLI_INPUT, 3, "Some input could not be read; all others are done.")                          \
    X(CLI_MODEL, 4, "The model cannot be used.")                                                   \
    X(CLI_DEVICE, 5, "The device, or a library that it needs, is not available.")                  \
    X(CLI_INTERRUPTED, 130, "Interrupted; what is written is whole.")

#define CLI_EXIT_ENUM(name, value, text) name = value,
enum cli_exit { CLI_EXITS(CLI_EXIT_ENUM) };
#undef CLI_EXIT_ENUM

#endif
