/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the start and the end of any program cost */

int main(void)
{
    return 0;
}
