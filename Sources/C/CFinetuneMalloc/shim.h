// What glibc's allocator has beside C's: Swift's module of glibc leaves the header out.

#include <malloc.h>
