/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fake_libpq_result.h"

#define CELLS 64

struct pg_result {
    ExecStatusType status;
    const char *state;
    const char *message;
    char *text;
    char *cells[CELLS];
    int rows;
    int columns;
};

static unsigned int results_open;

unsigned int fake_results_open(void)
{
    return results_open;
}

static void result_split(PGresult *result, const char *rows)
{
    char *rest = strdup(rows);
    char *line;
    int n = 0;

    assert_non_null(rest);
    result->text = rest;
    while (*rows != '\0' && (line = strsep(&rest, "\n")) != NULL) {
        char *cell;

        result->columns = 0;
        while ((cell = strsep(&line, "|")) != NULL) {
            assert_true(n < CELLS);
            result->cells[n++] = strcmp(cell, "NULL") == 0 ? NULL : cell;
            result->columns++;
        }
        result->rows++;
    }
}

PGresult *fake_result_new(bool is_answer, const char *rows, const char *state, const char *text)
{
    PGresult *result = calloc(1, sizeof(*result));

    assert_non_null(result);
    result->status = !is_answer     ? PGRES_FATAL_ERROR
                     : rows != NULL ? PGRES_TUPLES_OK
                                    : PGRES_COMMAND_OK;
    result->state = state;
    result->message = text;
    if (rows != NULL) {
        result_split(result, rows);
    }
    results_open++;
    return result;
}

ExecStatusType PQresultStatus(const PGresult *result)
{
    return result->status;
}

char *PQresultErrorField(const PGresult *result, int field)
{
    assert_int_equal(field, PG_DIAG_SQLSTATE);
    return (char *)(uintptr_t)result->state;
}

char *PQresultErrorMessage(const PGresult *result)
{
    return (char *)(uintptr_t)result->message;
}

int PQntuples(const PGresult *result)
{
    return result->rows;
}

int PQnfields(const PGresult *result)
{
    return result->columns;
}

static char *result_cell(const PGresult *result, int row, int column)
{
    assert_in_range(row, 0, result->rows - 1);
    assert_in_range(column, 0, result->columns - 1);
    return result->cells[row * result->columns + column];
}

int PQgetisnull(const PGresult *result, int row, int column)
{
    return result_cell(result, row, column) == NULL;
}

char *PQgetvalue(const PGresult *result, int row, int column)
{
    return result_cell(result, row, column);
}

void PQclear(PGresult *result)
{
    if (result != NULL) {
        free(result->text);
        free(result);
        results_open--;
    }
}
