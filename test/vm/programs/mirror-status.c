/*
 * What libdevmapper, and so lvs and dmeventd, reads out of mirrors' status lines: `mirror-status NAME...`
 * prints of each its name, IN_SYNC/REGIONS, the legs' letters, the log's type, the number of log devices.
 */
#include <libdevmapper.h>
#include <stdio.h>

static int print_status(struct dm_task* task, struct dm_pool* pool) {
  uint64_t start;
  uint64_t length;
  char* type = NULL;
  char* text = NULL;
  dm_get_next_target(task, NULL, &start, &length, &type, &text);
  struct dm_status_mirror* status = NULL;
  if (text == NULL || !dm_get_status_mirror(pool, text, &status)) {
    fprintf(stderr, "not understood: %s\n", text == NULL ? "no target" : text);
    return 1;
  }
  printf("%lu/%lu ", status->insync_regions, status->total_regions);
  for (uint32_t leg = 0; leg < status->dev_count; leg++) putchar(status->devs[leg].health);
  printf(" %s %u\n", status->log_type, status->log_count);
  return 0;
}

static int print_device(const char* name) {
  struct dm_pool* pool = dm_pool_create("status", 1024);
  struct dm_task* task = dm_task_create(DM_DEVICE_STATUS);
  int result = 1;
  printf("%s: ", name);
  if (pool != NULL && task != NULL && dm_task_set_name(task, name) && dm_task_run(task)) {
    result = print_status(task, pool);
  }
  if (task != NULL) dm_task_destroy(task);
  if (pool != NULL) dm_pool_destroy(pool);
  return result;
}

int main(int count, char** arguments) {
  int result = count < 2;
  for (int i = 1; i < count; i++) result |= print_device(arguments[i]);
  return result;
}
