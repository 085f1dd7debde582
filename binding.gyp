# The install build: npm runs it through node-gyp. The developer build is CMakeLists.txt; both read cpp/sources.list.
# Libraries are optional: a probe that finds nothing leaves its part out, and the addon says so at run time.
{
  "variables": {
    "have_uring%": "<!(pkg-config --exists liburing 2>/dev/null && echo 1 || echo 0)",
    "have_corosync%": "<!(pkg-config --exists libcpg libquorum libcorosync_common 2>/dev/null && echo 1 || echo 0)"
  },
  "targets": [
    {
      "target_name": "lockstep",
      "sources": ["<!@(sed 's/#.*//' cpp/sources.list)"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")", "cpp"],
      "defines": [
        "NAPI_VERSION=9",
        "NODE_ADDON_API_CPP_EXCEPTIONS",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
      ],
      "cflags!": ["-fno-exceptions"],
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++17"],
      "cflags_cc": ["-std=gnu++20", "-fexceptions", "-Wall", "-Wextra", "-O3", "-fvisibility=hidden", "-pthread"],
      "ldflags": ["-pthread"],
      "conditions": [
        ["have_uring==1", { "defines": ["LOCKSTEP_HAVE_URING=1"], "libraries": ["-luring"] }],
        ["have_corosync==1", {
          "defines": ["LOCKSTEP_HAVE_COROSYNC=1"],
          "libraries": ["-lcpg", "-lquorum", "-lcorosync_common"]
        }]
      ]
    }
  ]
}
