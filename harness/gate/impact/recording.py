"""Record what a process executes, reads and starts, in windows: one for each benchmark, and one for what all of them share.

Standard library only and loadable by path, because it runs in the process of another tree. Nothing in here may raise into the
program that is recorded: what goes wrong is a hazard, and a benchmark with a hazard is timed.
"""

from __future__ import annotations

import _thread
import os
import runpy
import stat
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_HERE = Path(__file__).resolve().parent
_PARTS = ("code", "opened_files", "places", "facts", "namespaces")
_code, _opened_files, _places, _facts, _namespaces = (runpy.run_path(str(_HERE / f"{name}.py")) for name in _PARTS)
digest, reads_docstrings, docstrings = _code["digest"], _code["reads_docstrings"], _code["docstrings"]
package_of, GENERATED = _places["package_of"], _places["GENERATED"]
ANY, MODULE = _namespaces["ANY"], _namespaces["MODULE"]

SHARED = ""
"""The window of everything that is not within another one."""

TOOLS = {"_pytest", "pytest", "pluggy", "iniconfig", "pygments", "pytest_benchmark"}
"""The packages of the runner: what they read and look at themselves is not an input of a benchmark."""
FOR_TESTS = {"pytester.py"}
"""Modules of these packages that read files and start processes for a test."""
CALLER = "timed"
"""The function of the gate's own files that calls a benchmark, which may be a function of the library."""
SYSTEM_CALLERS = {"platform.py", "uuid.py", "util.py"}
"""Modules of the standard library that start programs of the system to learn about it (`util.py` is that of ctypes)."""
STARTS = ("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn", "subprocess.Popen")
"""Audit events of a new process."""
CHANGES = ("os.remove", "os.rename", "os.link", "os.symlink", "os.truncate", "os.mkdir", "os.rmdir", "os.chmod", "os.utime")
"""Audit events of a change of a path, whose first argument it is."""
MOST_REPEATS, REPEATS_NS = 100, 10_000_000
"""How often a benchmark is run once more, for code that only later runs reach: at most, and for how long."""
DOCSTRING_READERS = {"getdoc", "_finddoc", "doc", "render_doc", "find"}
"""Functions of the library that read docstrings for their own sake; others copy them."""
ARGUMENT_READERS = {"_signature_from_function", "_has_code_flag"}
"""Functions of `inspect` that look at the arguments and flags of a function only, which belong to the code that defines it."""
ELF = b"\x7fELF"
OTHER = "HARNESS_VERSION_FOREIGN"
"""The environment variable of `protocol` that names the other version's tree."""

_USER, _TOOL, _IMPORT, _OWN, _PACKAGED_TOOL, _LIBRARY = "user", "tool", "import", "own", "packaged tool", "library"


class LiveWindow:
    """Everything that happened within one benchmark, or in what several of them share."""

    def __init__(self) -> None:
        self.codes: set[int] = set()
        """Keys of `ProcessRecorder.known`: code that was executed."""
        self.read_codes: set[int] = set()
        """The same for code that was read without being executed, as compilers of functions do."""
        self.files: set[str] = set()
        """Absolute paths that were opened, or of which the state was asked."""
        self.folders: set[str] = set()
        """Absolute paths that were listed."""
        self.sought: set[tuple[str, str]] = set()
        """Modules that were looked for, by name and absolute path without a suffix."""
        self.reads: set[tuple[str, str]] = set()
        """Names that were read of modules, by the module's file relative to the tree; of `namespaces.ANY` are all."""
        self.hazards: set[str] = set()
        """What cannot be followed."""

    def add(self, other: LiveWindow) -> None:
        """Add what happened in another window."""
        for name, found in vars(other).items():
            getattr(self, name).update(found)

    def keep_code(self, codes: set[int]) -> LiveWindow:
        """Keep this executed code only; return the rest as a window."""
        rest = LiveWindow()
        rest.add(self)
        rest.codes -= codes
        for name, found in vars(self).items():
            found.intersection_update(codes if name == "codes" else ())
        return rest


class ProcessRecorder:
    """Records one process from `start` on."""

    def __init__(self, root: str, own_files: Collection[str] = ()) -> None:
        """Record the tree below `root`; code in `own_files` is the gate's own."""
        own = {str(_HERE / f"{name}.py") for name in ("recording", *_PARTS)}
        self.places = _places["Places"](root, own | set(own_files))
        self.windows: dict[str, LiveWindow] = {SHARED: LiveWindow()}
        self.counts: dict[str, dict[str, int]] = {}
        """Calls and bytes at the peak by benchmark."""
        self._tool_files: set[str] = set()
        self._known: dict[int, CodeType] = {}
        self._stack = [self.windows[SHARED]]
        self._now = self._stack[0]
        self._audited: set[str] = set()
        self._tool_child = False
        """Whether a child of the runner's tools may have opened files since the last look, such as git for pytest-benchmark."""
        self._states: dict[str, tuple[int, int, int] | None] = {}
        """Path → its state when it was noted first."""
        self._has_interpreters = False
        """Whether there are others in the process, whose start would block while memory is traced."""
        self._children = _page_faults_of_children()
        self._profile_function = self._profiled
        self._kind_of = lru_cache(maxsize=None)(self._kind)
        self._busy = _Busy()
        self._tool: int | None = None
        self._once: object = None
        """The answer to a call of `sys.monitoring` after which this code is not reported again, until the next window."""
        self._names = _namespaces["Namespaces"](
            lambda file, name: self._now.reads.add((file, name)), lambda file: self._kind_of(file) == _LIBRARY
        )
        self._variables: dict[str, str] = {}
        self._other = os.environ.get(OTHER, "")
        """The other version's tree."""
        self._opened = _opened_files["OpenedFiles"](self.places.root, _places["is_skipped"])
        self._handlers: dict[str, Callable[[tuple[Any, ...], FrameType], None]] = {
            "object.__getattr__": lambda arguments, frame: self._note_code(arguments[0], frame),
            "sys.setprofile": lambda _, frame: self._note_profile(frame),
            "import": lambda arguments, _: self._note_library(arguments[1]),
            "ctypes.dlopen": lambda arguments, _: self._note_library(arguments[0]),
            "sqlite3.connect": lambda arguments, _: self._note_file(arguments[0]),
            "cpython.PyInterpreterState_New": lambda *_: self._note_interpreter(),
            **dict.fromkeys(CHANGES, lambda arguments, frame: self._note_path(arguments[0], frame)),
            "os.listdir": lambda arguments, frame: self._note_folder(arguments[0], frame),
            "os.scandir": lambda arguments, frame: self._note_folder(arguments[0], frame),
            "open": self._note_open,
            **dict.fromkeys(STARTS, lambda _, frame: self._note_start("", frame)),
            "subprocess.Popen": lambda arguments, frame: self._note_start(_program(arguments), frame),
        }

    def start(self) -> None:
        """Record from now on; modules of the tree that are loaded already count as files that were read."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and self.places.of_code(file) is not None:
                self._note_file(file)
        if threading.active_count() > 1:
            self._now.hazards.add("a thread ran before the recording began")
        sys.meta_path.insert(0, _SoughtModules(self._note_sought))
        self._variables = _facts["variables"](self.places.root)
        self._watch_calls()
        sys.addaudithook(self._audit)
        self._follow()

    def add_tools(self, files: Collection[str]) -> None:
        """Take what modules in these files read and start as the runner's own, such as those that check what is imported."""
        self._tool_files.update(files)
        self._kind_of.cache_clear()

    def _follow(self) -> None:
        """Be called for all code that starts, in every thread: by `sys.monitoring` where it is, else as the profile function."""
        if sys.version_info < (3, 12):
            threading.setprofile(self._profile_function)
            self._set_profile(self._profile_function)
            return
        monitoring = sys.monitoring
        self._tool = next(number for number in (4, 3, 5, 2) if monitoring.get_tool(number) is None)
        self._once = monitoring.DISABLE
        monitoring.use_tool_id(self._tool, "harness")
        monitoring.register_callback(self._tool, monitoring.events.PY_START, self._started)
        monitoring.set_events(self._tool, monitoring.events.PY_START)

    def _end(self) -> None:
        """Be called no more."""
        if sys.version_info >= (3, 12) and self._tool is not None:
            sys.monitoring.set_events(self._tool, 0)
        else:
            threading.setprofile(None)
            sys.setprofile(None)

    def _profiled(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":  # as `_started`, without a call more
            code = frame.f_code
            key = id(code)
            self._known[key] = code
            self._now.codes.add(key)
            if code.co_name == MODULE:
                self._watch_names(code, frame)

    def _started(self, code: CodeType, _: int = 0) -> object:
        self._known[id(code)] = code
        self._now.codes.add(id(code))
        if code.co_name == MODULE:
            self._watch_names(code, sys._getframe(1))  # noqa: SLF001 - no other way to the code's names
        return self._once

    def _watch_names(self, code: CodeType, frame: FrameType) -> None:
        place = self.places.of_code(code.co_filename)
        if place is not None and place.endswith(".py"):
            self._names.watch(place, frame.f_globals)

    # Windows

    @contextmanager
    def within(self, key: str) -> Iterator[None]:
        """Record into a window until the end of the context, then into the one before."""
        self.enter(key)
        try:
            yield
        finally:
            self.leave()

    def enter(self, key: str) -> None:
        """Record into a window from now on, until `leave`."""
        self._drain()
        self._stack.append(self.windows.setdefault(key, LiveWindow()))
        self._switched()

    def leave(self, *, only_of: str | None = None) -> None:
        """Record into the window before again; with `only_of`, what is not code of that file moves to it."""
        self._drain()
        self._look_at_threads()
        left = self._stack.pop()
        self._switched()
        if only_of is not None:
            self._now.add(left.keep_code({key for key in left.codes if self._known[key].co_filename == only_of}))

    def _switched(self) -> None:
        self._now = self._stack[-1]
        self._names.noted.clear()
        if self._tool is not None and sys.version_info >= (3, 12):
            sys.monitoring.restart_events()

    def _drain(self) -> None:
        """Add the files that were opened without an audit event, by compiled code or by a child; the runner's own do not count."""
        opened = self._opened.take()
        if not self._tool_child:
            for path in opened - self._audited:
                self._note_file(path)
        self._tool_child = False
        if self._children is not None and self._children != _page_faults_of_children():
            self._now.hazards.add("compiled code started a process, whose code is not recorded")

    def _look_at_threads(self) -> None:
        """Note threads whose code is not recorded: before `sys.monitoring`, those that `threading` has not started."""
        if self._tool is not None:
            return
        if threading.getprofile() != self._profile_function:
            self._now.hazards.add("another profile function was set for threads")
        if sys._current_frames().keys() - {thread.ident for thread in threading.enumerate()}:  # noqa: SLF001 - no other way
            self._now.hazards.add("compiled code ran Python in a thread of its own")

    # Files and processes

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "object.__getattr__" and arguments[1] != "__code__":  # by far the most frequent, by the profile function itself
            return
        handler = self._handlers.get(event)
        if handler is None or self._busy.on:
            return
        self._busy.on = True
        try:
            if self._tool_child:  # it has ended: the runner's tools wait for what they start
                self._drain()
            handler(arguments, sys._getframe(1))  # noqa: SLF001 - no other way to the caller
        except Exception as error:  # noqa: BLE001 - never into the program
            self._now.hazards.add(f"the recording failed at {event}: {type(error).__name__}")
        finally:
            self._busy.on = False

    def _note_open(self, arguments: tuple[Any, ...], frame: FrameType) -> None:
        path, mode, flags = arguments
        only_written = not set(mode) & {"r", "+"} if isinstance(mode, str) else flags & os.O_ACCMODE == os.O_WRONLY
        if isinstance(path, int) or only_written:
            return
        absolute = self.places.absolute(path)
        if self.places.is_input(absolute):
            self._audited.add(absolute)
            if self._origin(frame, through_tools=True) == _USER:
                self._note_file(absolute)

    def _note_file(self, path: Any) -> None:
        absolute = self.places.absolute(path)
        if self.places.is_input(absolute):
            self._now.files.add(absolute)
            if absolute not in self._states:
                self._states[absolute] = _state(absolute)

    def _note_sought(self, name: str, folders: Iterable[str]) -> None:
        """Note that a module is looked for; whether it is there decides even if it is never loaded."""
        if self._busy.on:
            return
        self._busy.on = True
        tail = name.rpartition(".")[2]
        for folder in folders:
            with suppress(Exception):  # not a path, which is for another finder
                absolute = os.path.join(self.places.absolute(folder or "."), tail)
                if self.places.is_input(absolute):
                    self._now.sought.add((name, absolute))
        self._busy.on = False

    def _note_library(self, file: object) -> None:
        """Note an extension module, or a library, that is about to be loaded from a file."""
        if isinstance(file, str) and os.sep in file:
            self._note_file(file)

    def _note_folder(self, path: Any, frame: FrameType) -> None:
        absolute = self.places.absolute("." if path is None else _folder_of(path) if isinstance(path, int) else path)
        if self.places.is_input(absolute) and self._origin(frame, through_tools=True) == _USER:
            self._now.folders.add(absolute)

    def _note_code(self, function: Any, frame: FrameType) -> None:
        """Note the code of a function that is read instead of executed, but for a look at its arguments and flags."""
        if frame.f_code.co_name in ARGUMENT_READERS and os.path.basename(frame.f_code.co_filename) == "inspect.py":
            return
        if self._origin(frame) == _USER:
            code = function.__code__
            self._known[id(code)] = code
            self._now.read_codes.add(id(code))

    def _note_profile(self, frame: FrameType) -> None:
        if self._tool is None and self._origin(frame) != _TOOL:
            self._now.hazards.add("another profile function was set")

    def _note_interpreter(self) -> None:
        self._has_interpreters = True
        self._now.hazards.add("an interpreter of its own is started")

    def _note_thread(self, *_: object) -> None:
        self._now.hazards.add("a thread is started without `threading`, so that its code is not recorded")

    def _note_start(self, program: str, frame: FrameType) -> None:
        self._children = None  # how many of its page faults are still to come is unknown
        callers = {os.path.basename(file) for file in _files_of_callers(frame) if self._kind_of(file) == _LIBRARY}
        asks_system = not callers.isdisjoint(SYSTEM_CALLERS)
        if self._origin(frame) == _TOOL:
            self._drain()
            self._tool_child = True
        elif not asks_system and not _is_followed(program):
            self._now.hazards.add(f"a process is started{f' ({program})' if program else ''}, whose code is not recorded")

    def _watch_calls(self) -> None:
        """Note the paths whose state is asked, and processes that are started, where there is no audit event."""
        for name in ("stat", "lstat", "access", "readlink"):
            function = getattr(os, name)
            noted = NotedCall(function, self._note_state)
            for supporting in (os.supports_dir_fd, os.supports_effective_ids, os.supports_fd, os.supports_follow_symlinks):
                if function in supporting:
                    supporting.add(noted)
            setattr(os, name, noted)
        if sys.version_info < (3, 12):  # `threading` has its own reference
            for name in ("start_new_thread", "start_new"):
                setattr(_thread, name, NotedCall(getattr(_thread, name), self._note_thread))
        with suppress(ImportError):
            import _posixsubprocess  # noqa: PLC0415 - where it is

            _posixsubprocess.fork_exec = NotedCall(_posixsubprocess.fork_exec, self._note_fork)

    def _note_state(self, path: Any, options: dict[str, Any], frame: FrameType) -> None:
        if self._busy.on or isinstance(path, int):
            return
        self._busy.on = True
        with suppress(Exception):  # the function raises its own error for what is not a path
            folder = options.get("dir_fd")
            self._note_path(path if folder is None else os.path.join(_folder_of(folder), os.fsdecode(path)), frame)
        self._busy.on = False

    def _note_path(self, path: Any, frame: FrameType) -> None:
        absolute = self.places.absolute(path)
        if self.places.is_input(absolute) and self._origin(frame, through_tools=True) == _USER:
            self._note_file(absolute)

    def _note_fork(self, _: Any, __: dict[str, Any], frame: FrameType) -> None:
        if os.path.basename(frame.f_code.co_filename) != "subprocess.py":  # which has its own event
            self._now.hazards.add("a process is started, whose code is not recorded")

    def _origin(self, frame: FrameType | None, *, through_tools: bool = False) -> str:
        """Return who makes a call: the import system, the runner's tools, or the user's code, also through the library.

        With `through_tools`, what the runner's tools do for the user's code is the user's, such as `pytest.raises(Error, open, …)`.
        """
        while frame is not None:
            code = frame.f_code
            kind = self._kind_of(code.co_filename)
            if kind == _IMPORT:
                caller = frame.f_back.f_code.co_name if frame.f_back is not None else ""
                if code.co_name != "get_data" or caller in {"get_code", "source_to_code", "exec_module"}:
                    return _IMPORT
            elif kind == _OWN:
                return _USER if code.co_name == CALLER else _TOOL
            elif kind == _USER or (kind == _PACKAGED_TOOL and not through_tools):
                return _USER if kind == _USER else _TOOL
            frame = frame.f_back
        return _TOOL

    def _kind(self, file: str) -> str:
        """Return who the code of a file belongs to."""
        if file.startswith("<frozen importlib"):
            return _IMPORT
        if file in self._tool_files or file in self.places.own_files:
            return _OWN
        if package := package_of(file):
            return _PACKAGED_TOOL if package in TOOLS and os.path.basename(file) not in FOR_TESTS else _USER
        is_zip = file.startswith("<frozen zipimport")  # which reads what it imports from by itself
        return _USER if is_zip or not file.startswith((*_places["LIBRARY"], "<frozen")) else _LIBRARY

    # Work counts

    @staticmethod
    def repeats() -> Iterator[None]:
        """Yield as often as an operation is to be repeated for what only later runs reach."""
        end_ns = time.monotonic_ns() + REPEATS_NS
        for _ in range(MOST_REPEATS):
            yield
            if time.monotonic_ns() > end_ns:
                break

    def count(self, key: str, operation: Callable[[], object]) -> None:
        """Call an operation once more, with its calls in Python and C counted, and again for its peak of memory.

        Of this thread only. An operation that raises although it has run once is a hazard, and no error.
        """
        calls = 0

        def counting(frame: FrameType, event: str, argument: object) -> None:
            nonlocal calls
            if event in {"call", "c_call"} and not self._busy.on and frame.f_code.co_filename not in self.places.own_files:
                calls += 1
            if self._tool is None:
                self._profiled(frame, event, argument)

        before = sys.getprofile()
        try:
            self._set_profile(counting)
            try:
                operation()
            finally:
                self._set_profile(before)
            peak = {"peak_bytes": _peak_bytes(operation)} if not self._has_interpreters else {}
            for _ in self.repeats():
                operation()
        except Exception as error:  # noqa: BLE001 - it ran once without
            self._now.hazards.add(f"it runs only once: {type(error).__name__}")
        else:
            self.counts[key] = {"calls": calls, **peak}

    def _set_profile(self, function: Any) -> None:
        self._busy.on = True
        sys.setprofile(function)
        self._busy.on = False

    # Result

    def found(self) -> dict[str, Any]:
        """End the recording, and return everything that was recorded, as it is sent to the coordinator."""
        self._drain()
        self._look_at_threads()
        self._busy.on = True
        self._end()
        everywhere = self.windows[SHARED].hazards
        if any(isinstance(thread, threading._DummyThread) for thread in threading.enumerate()):  # noqa: SLF001 - its only mark
            everywhere.add("compiled code ran Python in a thread of its own")
        roots = [self.places.root, *([os.path.realpath(self._other)] if self._other else [])]
        copies = _facts["copies"](roots, self._imported())
        everywhere |= {f"the installed copy of {name} is imported, not the one of its tree" for name in copies}
        numbers: dict[tuple[str, str, str], int] = {}
        numbered: dict[tuple[int, bool], list[int]] = {}

        def number(key: int, *, whole: bool) -> list[int]:
            if (key, whole) not in numbered:
                code = self._known[key]
                place = self.places.of_code(code.co_filename)
                entries = [] if place is None else [(place, code.co_qualname, digest(code, whole=whole))]
                numbered[key, whole] = [numbers.setdefault(entry, len(numbers)) for entry in entries]
            return numbered[key, whole]

        self._names.end()
        for window in list(self.windows.values()):
            self._add_reads(window)
        shown = {}
        for name, window in list(self.windows.items()):
            executed = list(window.codes)
            if name == SHARED:  # where it is the runner's own; it follows from code and files that are compared
                executed = [key for key in executed if self.places.of_code(self._known[key].co_filename) != GENERATED]
            changed = [self.places.relative(path) for path in window.files if self._states[path] != _state(path)]
            codes = [number(key, whole=False) for key in executed]
            codes += [number(key, whole=True) for key in list(window.read_codes)]
            shown[name] = {
                "codes": sorted({each for found in codes for each in found}),
                "files": sorted(map(self.places.relative, window.files)),
                "folders": sorted(map(self.places.relative, window.folders)),
                "sought": sorted({self.places.relative(path) for module, path in window.sought if not _is_loaded(module)}),
                "reads": sorted(window.reads),
                "docstrings": any(map(self._is_docstring_reader, executed)),
                "hazards": sorted({*window.hazards, *(f"{path}, which it reads, changes" for path in changed)}),
            }
        return {
            "codes": list(numbers),
            "windows": shown,
            "docstrings": self._docstrings(),
            "blind": self._opened.blind,
            "facts": {**self._variables, **_facts["installed"](self.places.root)},
            "counts": self.counts,
        }

    def _docstrings(self) -> dict[str, str]:
        """Return digests of the docstrings of the tree's modules, by file."""
        modules = [code for code in list(self._known.values()) if code.co_name == "<module>" and os.path.isabs(code.co_filename)]
        places = {id(code): self.places.of_code(code.co_filename) for code in modules}
        return {
            place: _facts["short_digest"](repr(list(docstrings(code))))
            for code in modules
            if (place := places[id(code)]) is not None and not os.path.isabs(place)
        }

    def _add_reads(self, window: LiveWindow) -> None:
        """Add the names in generated code, which may run in any module, and all names where code looks at them without a note."""
        for code in [self._known[key] for key in {*window.codes, *window.read_codes}]:
            kind = self._kind_of(code.co_filename)
            if kind not in {_USER, _LIBRARY} or self._names.looks_up_fixed_names(code):
                continue
            if _namespaces["looks_at_any"](code):
                window.reads.add((ANY, ANY))
            place = self.places.of_code(code.co_filename)
            if place is None:
                continue
            is_module = place.endswith(".py")
            if _namespaces["looks_at_own"](code):
                window.reads.add((place if is_module else ANY, ANY))
            if not is_module:
                window.reads.update((ANY, name) for name in code.co_names)

    def _is_docstring_reader(self, key: int) -> bool:
        code = self._known[key]
        kind = self._kind_of(code.co_filename)
        if kind == _USER:
            return bool(reads_docstrings(code))
        return kind == _LIBRARY and code.co_name in DOCSTRING_READERS and bool(reads_docstrings(code))

    @staticmethod
    def _imported() -> frozenset[str]:
        """Return the files of all modules."""
        files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        return frozenset(os.path.realpath(file) for file in files if isinstance(file, str))


class _SoughtModules:
    """A finder of modules that finds none, but notes what is looked for."""

    def __init__(self, note: Callable[[str, Iterable[str]], None]) -> None:
        self._note = note

    def find_spec(self, name: str, path: Iterable[str] | None = None, _: object = None) -> None:
        """Note a module, and leave it to the other finders."""
        self._note(name, list(sys.path if path is None else path))


class _Busy(threading.local):
    on = False
    """Whether this thread is noting something, so that what that does is not noted itself."""


class NotedCall:
    """A function of the system that is noted, with its first argument and its caller's frame, before it is called.

    An object, because a function in its place would become a method of the classes that keep it.
    """

    def __init__(self, function: Callable[..., Any], note: Callable[[Any, dict[str, Any], FrameType], None]) -> None:
        self._function, self._note = function, note
        self.__name__ = function.__name__

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Note the call, and do it."""
        self._note(arguments[0] if arguments else options.get("path"), options, sys._getframe(1))  # noqa: SLF001 - no other way to the caller
        return self._function(*arguments, **options)


_stat = os.stat


def _state(path: str) -> tuple[int, int, int] | None:
    """Return by what a change of a file's content shows, None without a file."""
    try:
        found = _stat(path)
    except OSError:
        return None
    return None if stat.S_ISDIR(found.st_mode) else (found.st_mtime_ns, found.st_size, found.st_ino)


def _folder_of(descriptor: int) -> str:
    """Return the path of an open folder."""
    return os.readlink(f"/proc/self/fd/{descriptor}")


def _page_faults_of_children() -> int | None:
    """Return a number that grows whenever a child has ended, None where it is unknown."""
    try:
        import resource  # noqa: PLC0415 - where it is
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt


def _is_loaded(module: str) -> bool:
    """Return whether a module has been loaded from a file, so that its code is recorded."""
    return getattr(sys.modules.get(module), "__file__", None) is not None


def _peak_bytes(operation: Callable[[], object]) -> int:
    """Return the bytes that an operation allocates at its peak."""
    tracemalloc.start()
    try:
        operation()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _program(arguments: tuple[Any, ...]) -> str:
    """Return the program that `subprocess.Popen` starts."""
    executable, command = arguments[:2]
    return os.fsdecode(executable or (command if isinstance(command, str | bytes | os.PathLike) else command[0]))


def _is_followed(program: str) -> bool:
    """Return whether a program is a compiled one of an installed package, whose opened files are seen.

    One for the command line is none of them: it may be an interpreter, such as Python or `uv run`, and read compiled code.
    """
    path = os.path.realpath(program)
    if not package_of(path) or os.path.basename(path).startswith("python"):
        return False
    with suppress(OSError), open(path, "rb") as file:
        return file.read(len(ELF)) == ELF
    return False


def _files_of_callers(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        yield frame.f_code.co_filename
        frame = frame.f_back
