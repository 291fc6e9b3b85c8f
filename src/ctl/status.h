/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status.h: quiescectl status [--json] */
#ifndef QUIESCED_CTL_STATUS_H
#define QUIESCED_CTL_STATUS_H

/* @argv begins behind the subcommand. The exit status. */
int status(int argc, char **argv);

#endif
