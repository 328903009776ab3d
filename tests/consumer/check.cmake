# Builds and runs program.cpp against an installed copy (way=installed), the build tree (way=built)
# or the sources (way=subdirectory), from nothing, in the folder `work`; program.cu where the way
# starts with gpu_.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(failed)
    message(FATAL_ERROR "${ARGN}\nfailed (${failed}):\n${said}")
  endif()
  set(said "${said}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${work})
set(project package)
if(way MATCHES installed)
  run(${CMAKE_COMMAND} --install ${marconi_build} --prefix ${work}/prefix)
  set(where -DCMAKE_PREFIX_PATH=${work}/prefix)
elseif(way STREQUAL built)
  set(where -DCMAKE_PREFIX_PATH=${marconi_build})
else()
  set(project subdirectory)
  set(where -Dmarconi_source=${marconi_source})
endif()
if(way MATCHES "^gpu_")
  set(project gpu)
  # -G halves the time that nvcc takes for the kernels.
  list(APPEND where -DCMAKE_CUDA_COMPILER=${nvcc} -DCMAKE_CUDA_ARCHITECTURES=90-virtual
    -DCMAKE_CUDA_FLAGS_RELEASE=-G)
endif()
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/${project} -B ${work}/build -G ${generator}
  -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=${compiler}
  -DCMAKE_CXX_COMPILER_LAUNCHER=${launcher}
  -DCMAKE_RUNTIME_OUTPUT_DIRECTORY=${work}/bin
  -DCMAKE_RUNTIME_OUTPUT_DIRECTORY_RELEASE=${work}/bin ${where})
run(${CMAKE_COMMAND} --build ${work}/build --config Release)
run(${work}/bin/consumer)
message("consumer: ${said}")
