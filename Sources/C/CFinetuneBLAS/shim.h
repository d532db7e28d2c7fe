// OpenBLAS for Swift: the C interface of BLAS, and the few LAPACK routines we use by their Fortran names, because
// Debian's libopenblas-dev has no lapacke.h.

#ifndef FINETUNE_BLAS_SHIM_H
#define FINETUNE_BLAS_SHIM_H

#include <cblas.h>

/// Cholesky factorization, in place. `info` is 0 where the matrix is positive definite.
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, unsigned long uplo_length);
/// Solves with a factorization from `dpotrf_`; right-hand sides are columns, replaced by the solution.
void dpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a, const int *lda, double *b, const int *ldb,
             int *info, unsigned long uplo_length);
/// Eigenvalues, ascending, and eigenvectors, in the columns of `a`, of a symmetric matrix, by divide and conquer. With
/// `lwork` and `liwork` −1 only the sizes of the work spaces are computed.
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
             const int *lwork, int *iwork, const int *liwork, int *info, unsigned long jobz_length,
             unsigned long uplo_length);

#endif
