@echo off
rem Starts StoryGen: finds a supported Python and runs launch.py with it. The options are those of server.py (--help).
setlocal
set "fits=import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))"
for %%P in ("py -3" "py -3.13" "py -3.12" "py -3.14" "py -3.11" "py -3.10" "python" "python3") do (
    %%~P -c "%fits%" >nul 2>nul && set "python=%%~P" && goto found
)
echo StoryGen needs Python 3.10 to 3.14, and found none. Install it from https://www.python.org, then start again.
pause
exit /b 1

:found
%python% "%~dp0launch.py" %*
set "status=%errorlevel%"
rem The window of a double click would close before the message can be read.
if not "%status%"=="0" pause
exit /b %status%
