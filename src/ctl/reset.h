/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reset.h: quiescectl reset */
#ifndef QUIESCED_CTL_RESET_H
#define QUIESCED_CTL_RESET_H

/* @argv begins behind the subcommand. The exit status. */
int reset(int argc, char **argv);

#endif
