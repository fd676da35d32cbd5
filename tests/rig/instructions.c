/* Counts the instructions of a program that qemu emulates, into a file that anybody may read meanwhile: one number of 64 bits
 * for each thread. A plugin of qemu-user (-plugin instructions.so,counts=PATH) by the first version of that interface; Debian
 * packages no header of it, so what is used is declared here. */

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* More than a room ever starts; should there be more, two share a number. */
#define THREADS 1024

typedef uint64_t plugin_id;
struct qemu_plugin_tb;

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*translated)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, void (*run)(unsigned, void *), int flags,
                                          void *given);

int qemu_plugin_version = 1;

static uint64_t *counts;

static void run(unsigned thread, void *instructions)
{
    counts[thread % THREADS] += (uintptr_t)instructions;
}

/* A block of code has as many instructions each time that it runs. */
static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, run, 0, (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

int qemu_plugin_install(plugin_id id, const void *about, int argc, char **argv)
{
    (void)about;
    const char *path = argc > 0 && strncmp(argv[0], "counts=", 7) == 0 ? argv[0] + 7 : NULL;
    int file = path ? open(path, O_RDWR | O_CREAT | O_TRUNC, 0644) : -1;
    if (file < 0 || ftruncate(file, THREADS * sizeof *counts) < 0) {
        fprintf(stderr, "instructions: counts=PATH must name a file that can be written\n");
        return 1;
    }
    counts = mmap(NULL, THREADS * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (counts == MAP_FAILED)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
