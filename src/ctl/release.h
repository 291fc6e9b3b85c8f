/* SPDX-License-Identifier: GPL-2.0-or-later */
/* release.h: quiescectl release [REASON] */
#ifndef QUIESCED_CTL_RELEASE_H
#define QUIESCED_CTL_RELEASE_H

/* @argv begins behind the subcommand. The exit status. */
int release(int argc, char **argv);

#endif
