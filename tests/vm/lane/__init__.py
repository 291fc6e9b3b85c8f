# SPDX-License-Identifier: GPL-2.0-or-later
"""A real guest, and what a host does to it."""
