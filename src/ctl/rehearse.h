/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rehearse.h: quiescectl rehearse */
#ifndef QUIESCED_CTL_REHEARSE_H
#define QUIESCED_CTL_REHEARSE_H

/* @argv begins behind the subcommand. The exit status. */
int rehearse(int argc, char **argv);

#endif
