/* SPDX-License-Identifier: GPL-2.0-or-later */
/* retire.h: quiescectl retire */
#ifndef QUIESCED_CTL_RETIRE_H
#define QUIESCED_CTL_RETIRE_H

/* @argv begins behind the subcommand. The exit status. */
int retire(int argc, char **argv);

#endif
