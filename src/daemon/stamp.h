/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stamp.h: has the configuration changed? */
#ifndef QUIESCED_STAMP_H
#define QUIESCED_STAMP_H

#include <stdint.h>

/* A number that changes when a file of the configuration comes, goes or is written. */
uint64_t stamp_of_config(const char *config_dir);

#endif
