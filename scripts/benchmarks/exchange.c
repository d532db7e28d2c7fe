// How fast ranks add up their gradients: the two exchanges that finetune makes of them, on as many floats as a ResNet-50
// learns. Prints the seconds of the median of ten.
//
//   mpicc -O2 -o exchange exchange.c && mpirun -n 2 ./exchange

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { FLOATS = 23508032, TIMES = 11 };

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    int rank, ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    int part = FLOATS / ranks;
    float *values = calloc((size_t)part * ranks, sizeof(float));
    float *parts = calloc((size_t)part * ranks, sizeof(float));
    double seconds[TIMES];
    for (int time = 0; time < TIMES; time++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double begun = MPI_Wtime();
        MPI_Alltoall(values, part, MPI_FLOAT, parts, part, MPI_FLOAT, MPI_COMM_WORLD);
        for (int other = 1; other < ranks; other++)
            for (int i = 0; i < part; i++) parts[i] += parts[(size_t)other * part + i];
        MPI_Allgather(parts, part, MPI_FLOAT, values, part, MPI_FLOAT, MPI_COMM_WORLD);
        seconds[time] = MPI_Wtime() - begun;
    }
    qsort(seconds + 1, TIMES - 1, sizeof(double), ascending);
    if (rank == 0) printf("{\"ranks\": %d, \"bytes\": %zu, \"seconds\": %.5f}\n", ranks, FLOATS * sizeof(float), seconds[TIMES / 2]);
    MPI_Finalize();
    return 0;
}
