// MPI for Swift, which cannot see its macros: handles and functions that take them.

#ifndef FINETUNE_MPI_SHIM_H
#define FINETUNE_MPI_SHIM_H

#include <mpi.h>

/// Begins MPI for one thread at a time, whichever; gives this process's number and how many there are.
static inline void finetune_mpi_start(int *rank, int *count) {
    int provided = 0;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, rank);
    MPI_Comm_size(MPI_COMM_WORLD, count);
}

static inline MPI_Comm finetune_mpi_world(void) { return MPI_COMM_WORLD; }

/// A communicator of all processes, whose messages do not meet those of others.
static inline MPI_Comm finetune_mpi_channel(void) {
    MPI_Comm channel = MPI_COMM_NULL;
    MPI_Comm_dup(MPI_COMM_WORLD, &channel);
    return channel;
}

/// Whether a request is over.
static inline int finetune_mpi_is_over(MPI_Request *request) {
    int over = 0;
    MPI_Test(request, &over, MPI_STATUS_IGNORE);
    return over;
}

/// Gives every process the bytes of all; `counts` and `places` say how many each has, and where they go.
static inline MPI_Request finetune_mpi_gather_bytes(
    const void *own, void *all, const int *counts, const int *places, int rank, MPI_Comm channel) {
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Iallgatherv(own, counts[rank], MPI_BYTE, all, counts, places, MPI_BYTE, channel, &request);
    return request;
}

/// Gives every process the bytes of the first.
static inline MPI_Request finetune_mpi_spread_bytes(void *bytes, int count, MPI_Comm channel) {
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Ibcast(bytes, count, MPI_BYTE, 0, channel, &request);
    return request;
}

/// Asks the first process for a number, which is there when the request is over.
static inline MPI_Request finetune_mpi_ask(long long *answer, MPI_Comm channel) {
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Irecv(answer, 1, MPI_LONG_LONG, 0, 1, channel, &request);
    MPI_Send(NULL, 0, MPI_BYTE, 0, 0, channel);
    return request;
}

/// A process that asks, -1 where none does.
static inline int finetune_mpi_who_asks(MPI_Comm channel) {
    int asked = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, 0, channel, &asked, &status);
    if (!asked) return -1;
    MPI_Recv(NULL, 0, MPI_BYTE, status.MPI_SOURCE, 0, channel, MPI_STATUS_IGNORE);
    return status.MPI_SOURCE;
}

static inline void finetune_mpi_answer(int rank, long long answer, MPI_Comm channel) {
    MPI_Send(&answer, 1, MPI_LONG_LONG, rank, 1, channel);
}

/// Gives each process its part of every process's floats, one behind the other.
static inline MPI_Request finetune_mpi_deal_floats(
    const float *own, const int *counts, const int *places, float *parts, const int *partCounts,
    const int *partPlaces, MPI_Comm channel) {
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Ialltoallv(
        own, counts, places, MPI_FLOAT, parts, partCounts, partPlaces, MPI_FLOAT, channel, &request);
    return request;
}

/// Gives every process the part of the floats that each has in its place.
static inline MPI_Request finetune_mpi_gather_floats(
    float *all, const int *counts, const int *places, MPI_Comm channel) {
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_FLOAT, all, counts, places, MPI_FLOAT, channel, &request);
    return request;
}

#endif
