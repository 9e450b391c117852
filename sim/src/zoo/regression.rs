//! Regression files: a scenario that once broke a promise, and by which mutant.
