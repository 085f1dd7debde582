/* Touches MEBIBYTES of memory again and again for SECONDS: whoever can be written out or thrown out, is. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const size_t bytes = (size_t)atol(arguments[1]) << 20;
  const time_t end = time(NULL) + atol(arguments[2]);
  unsigned char* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  unsigned long rounds = 0;
  for (; time(NULL) < end; rounds++) {
    for (size_t at = 0; at < bytes; at += 4096) memory[at] = (unsigned char)(rounds + at);
  }
  printf("memory-hog: %lu rounds over %s MiB\n", rounds, arguments[1]);
  return 0;
}
