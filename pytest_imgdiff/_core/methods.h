/* What files with functions of the module share. Such a file ends with its own table of methods, which is declared here
   and named once in module.c; its functions are typed in native.pyi.

   The stable ABI of Python 3.10 has no buffers: "y#" reads bytes and contiguous arrays of NumPy (bytearrays are refused),
   and results are bytearrays, which `np.frombuffer` makes arrays of. The caller's arguments keep the memory alive; no
   function holds Python's lock while it works. */
#ifndef IMGDIFF_METHODS_H
#define IMGDIFF_METHODS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "core.h"

/* A new reference to None: the reference in Python does the work. */
PyObject *declined(void);

/* A bytearray whose values are not set; NULL, without an exception, where there is no memory. */
PyObject *new_bytes(size_t size);
uint8_t *bytes_of(PyObject *bytearray);

/* A heat of so many bytes that can be written to; None is NULL. False, with an exception: it is neither. */
bool writable_heat(PyObject *object, size_t count, uint8_t **heat);

/* Whether numbers of so many bytes begin at a multiple of their size, as C demands: a caller's array may lie anywhere. */
ALWAYS_INLINE bool is_aligned(const void *numbers, size_t size) { return (uintptr_t)numbers % size == 0; }

/* Each ends with a row of NULL. */
extern PyMethodDef PNG_METHODS[];     /* module.c */
extern PyMethodDef COUNTING_METHODS[]; /* counting.c */
extern PyMethodDef PIXELS_METHODS[];  /* pixels_calls.c */
extern PyMethodDef SSIM_METHODS[];    /* ssim.c */
extern PyMethodDef MASK_METHODS[];    /* mask_png.c */
extern PyMethodDef VISIBLE_METHODS[]; /* visible.c */
extern PyMethodDef LINES_METHODS[];   /* lines.c */
extern PyMethodDef COLOURS_METHODS[]; /* colours.c */

#endif
