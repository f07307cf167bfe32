# SPDX-License-Identifier: Apache-2.0
"""Who made what the champion, when and why: a signed history for each registered model, and the rules it is read by.

entry (one signed line) -> chain (what a whole history says) <- policy (who may do what) ; ledger (the history in a
registry) ; release (what a release offers, and what speaks against it) ; promote (promotion, rollback).
"""
