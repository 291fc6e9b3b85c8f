# SPDX-License-Identifier: GPL-2.0-or-later
"""What the integration tests and tools/demo stand on: one noun a module."""
