# SPDX-License-Identifier: GPL-2.0-or-later
"""What the fault suite stands on, beside the harness of tests/integration."""
