/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake_libpq_result.h: results for fake_libpq.c, and the library's functions on them */
#ifndef QUIESCED_TESTS_FAKE_LIBPQ_RESULT_H
#define QUIESCED_TESTS_FAKE_LIBPQ_RESULT_H

#include <stdbool.h>

#include <libpq-fe.h>

/* An answer with @rows, as fake_query() has them, or an error. */
PGresult *fake_result_new(bool is_answer, const char *rows, const char *state, const char *text);
/* Those that were not cleared */
unsigned int fake_results_open(void);

#endif
